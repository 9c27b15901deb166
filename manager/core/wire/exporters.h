/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last templates of each exporter: what it would have to send again for a collector to
 * understand it that has never heard it. Pure, and bounded, for anybody can send as any exporter:
 * what was heard least lately goes, and is counted.
 *
 * An exporter is told from others by its address and port, the port that it sends to, the version
 * that it speaks, and its source id or observation domain.
 */
#pragma once

#include "core/wire/template.h"

#define EXPORTERS_MAX		1024
#define EXPORTERS_TEMPLATES_MAX 256		   /* of one exporter */
#define EXPORTERS_BYTES_MAX	(4U * 1024 * 1024) /* of all */

/* Addresses in network byte order, IPv4 as ::ffff:a.b.c.d; ports in host byte order. */
struct exporter_ends {
	uint8_t source[16], dest[16];
	uint16_t source_port, dest_port;
};

struct exporter_record; /* a template of it */

struct exporter {
	uint32_t number; /* names it; never used again */
	struct exporter_ends ends;
	struct template_header header; /* of the last datagram with templates */
	uint64_t heard;
	struct exporter_record *records;
	unsigned n_records;
	size_t bytes;
};

/* What is said of all. */
struct exporters_counts {
	uint32_t exporters, templates, bytes;
	uint32_t pad;
	uint64_t forgotten; /* templates that went for want of room */
};

struct exporters {
	struct exporter *list[EXPORTERS_MAX]; /* the first counts.exporters */
	struct exporters_counts counts;
	uint64_t clock; /* datagrams */
	uint32_t last_number;
};

/* Frees what is in it; it is as new then. */
void exporters_done(struct exporters *exporters);

/* A datagram. True: templates are known now that were not, or not so. */
bool exporters_hear(struct exporters *exporters, const struct exporter_ends *ends,
		    const uint8_t *data, size_t size);

/* Those that are kept, the one that was heard least lately first: where one has taken another's
 * place it comes behind it again. */
void exporters_sort(struct exporters *exporters);
/* NULL: it is not kept any more. */
const struct exporter *exporters_find(const struct exporters *exporters, uint32_t number);

/* Calls `each` with the datagrams that say all of its templates. Returns how many. */
typedef void exporter_fn(const struct template_datagram *datagram, void *userdata);
unsigned exporter_tell(const struct exporter *exporter, exporter_fn *each, void *userdata);
