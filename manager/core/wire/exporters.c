// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/wire/exporters.h"

#include <stdlib.h>
#include <string.h>

#include "util/macro.h"

struct exporter_record {
	struct exporter_record *next;
	uint64_t heard;
	uint16_t id;
	bool options;
	size_t size;
	uint8_t data[];
};

/* ---- forgetting ---- */

static void drop_record(struct exporters *exporters, struct exporter *exporter,
			struct exporter_record **link)
{
	struct exporter_record *record = *link;
	size_t bytes = sizeof(*record) + record->size;

	*link = record->next;
	exporter->n_records--;
	exporter->bytes -= bytes;
	exporters->counts.templates--;
	exporters->counts.bytes -= (uint32_t)bytes;
	free(record);
}

static void drop(struct exporters *exporters, unsigned index)
{
	struct exporter *exporter = exporters->list[index];

	while (exporter->records)
		drop_record(exporters, exporter, &exporter->records);
	exporters->counts.bytes -= sizeof(*exporter);
	exporters->list[index] = exporters->list[--exporters->counts.exporters];
	free(exporter);
}

void exporters_done(struct exporters *exporters)
{
	while (exporters->counts.exporters)
		drop(exporters, 0);
	*exporters = (struct exporters) {0};
}

/* The one that was heard least lately, but not this one. False: there is no other. */
static bool forget_one(struct exporters *exporters, const struct exporter *keep)
{
	unsigned oldest = EXPORTERS_MAX;

	for (unsigned i = 0; i < exporters->counts.exporters; i++)
		if (exporters->list[i] != keep &&
		    (oldest == EXPORTERS_MAX ||
		     exporters->list[i]->heard < exporters->list[oldest]->heard))
			oldest = i;
	if (oldest == EXPORTERS_MAX)
		return false;
	exporters->counts.forgotten += exporters->list[oldest]->n_records;
	drop(exporters, oldest);
	return true;
}

static void forget_record(struct exporters *exporters, struct exporter *exporter)
{
	struct exporter_record **link = &exporter->records, **oldest = link;

	for (; *link; link = &(*link)->next)
		if ((*link)->heard < (*oldest)->heard)
			oldest = link;
	exporters->counts.forgotten++;
	drop_record(exporters, exporter, oldest);
}

/* ---- hearing ---- */

static bool is_of(const struct exporter *exporter, const struct exporter_ends *ends,
		  const struct template_header *header)
{
	return exporter->header.domain == header->domain &&
	       exporter->header.version == header->version &&
	       exporter->ends.source_port == ends->source_port &&
	       exporter->ends.dest_port == ends->dest_port &&
	       !memcmp(exporter->ends.source, ends->source, sizeof(ends->source));
}

/* NULL: there is no memory for it. */
static struct exporter *get_exporter(struct exporters *exporters, const struct exporter_ends *ends,
				     const struct template_header *header)
{
	struct exporter *exporter;

	for (unsigned i = 0; i < exporters->counts.exporters; i++)
		if (is_of(exporters->list[i], ends, header))
			return exporters->list[i];
	if (exporters->counts.exporters == EXPORTERS_MAX)
		forget_one(exporters, NULL);
	exporter = calloc(1, sizeof(*exporter));
	if (!exporter)
		return NULL;
	exporter->number = ++exporters->last_number;
	exporters->counts.bytes += sizeof(*exporter);
	exporters->list[exporters->counts.exporters++] = exporter;
	return exporter;
}

struct hearing {
	struct exporters *exporters;
	const struct exporter_ends *ends;
	struct template_header header;
	struct exporter *exporter; /* NULL: no template yet */
	bool changed;
};

static struct exporter_record **find_record(struct exporter *exporter,
					    const struct template_record *record)
{
	struct exporter_record **link = &exporter->records;

	while (*link && ((*link)->id != record->id || (*link)->options != record->options))
		link = &(*link)->next;
	return link;
}

static void withdraw(struct hearing *hearing, const struct template_record *record)
{
	struct exporter_record **link = &hearing->exporter->records;

	while (*link) {
		if ((*link)->options == record->options &&
		    (!record->id || (*link)->id == record->id)) {
			drop_record(hearing->exporters, hearing->exporter, link);
			hearing->changed = true;
		} else {
			link = &(*link)->next;
		}
	}
}

static void put_record(struct hearing *hearing, struct exporter_record **link,
		       const struct template_record *record)
{
	struct exporters *exporters = hearing->exporters;
	struct exporter *exporter = hearing->exporter;
	struct exporter_record *mine = malloc(sizeof(*mine) + record->size);

	if (*link)
		drop_record(exporters, exporter, link);
	if (!mine)
		return;
	*mine = (struct exporter_record) {.next = exporter->records,
					  .heard = exporters->clock,
					  .id = record->id,
					  .options = record->options,
					  .size = record->size};
	memcpy(mine->data, record->data, record->size);
	exporter->records = mine;
	exporter->n_records++;
	exporter->bytes += sizeof(*mine) + record->size;
	exporters->counts.templates++;
	exporters->counts.bytes += (uint32_t)(sizeof(*mine) + record->size);
	hearing->changed = true;
}

static bool is_same(const struct exporter_record *mine, const struct template_record *record)
{
	return mine->size == record->size && !memcmp(mine->data, record->data, record->size);
}

static void on_record(const struct template_record *record, void *userdata)
{
	struct hearing *hearing = userdata;
	struct exporter_record **link;

	if (!hearing->exporter)
		hearing->exporter =
			get_exporter(hearing->exporters, hearing->ends, &hearing->header);
	if (!hearing->exporter)
		return;
	if (record->withdraws) {
		withdraw(hearing, record);
		return;
	}
	link = find_record(hearing->exporter, record);
	if (*link && is_same(*link, record)) {
		(*link)->heard = hearing->exporters->clock;
		return;
	}
	if (!*link && hearing->exporter->n_records == EXPORTERS_TEMPLATES_MAX) {
		forget_record(hearing->exporters, hearing->exporter);
		link = find_record(hearing->exporter, record);
	}
	put_record(hearing, link, record);
}

bool exporters_hear(struct exporters *exporters, const struct exporter_ends *ends,
		    const uint8_t *data, size_t size)
{
	struct hearing hearing = {.exporters = exporters, .ends = ends};

	exporters->clock++;
	if (template_read(data, size, &hearing.header, on_record, &hearing) < 0 ||
	    !hearing.exporter)
		return false;
	hearing.exporter->ends = *ends;
	hearing.exporter->header = hearing.header;
	hearing.exporter->heard = exporters->clock;
	while (exporters->counts.bytes > EXPORTERS_BYTES_MAX &&
	       forget_one(exporters, hearing.exporter))
		;
	return hearing.changed;
}

/* ---- telling ---- */

static int by_heard(const void *a, const void *b)
{
	const struct exporter *left = *(struct exporter *const *)a,
			      *right = *(struct exporter *const *)b;

	return left->heard < right->heard ? -1 : left->heard > right->heard;
}

void exporters_sort(struct exporters *exporters)
{
	qsort(exporters->list, exporters->counts.exporters, sizeof(exporters->list[0]), by_heard);
}

const struct exporter *exporters_find(const struct exporters *exporters, uint32_t number)
{
	for (unsigned i = 0; i < exporters->counts.exporters; i++)
		if (exporters->list[i]->number == number)
			return exporters->list[i];
	return NULL;
}

static void send(struct template_datagram *datagram, exporter_fn *each, void *userdata)
{
	template_end(datagram);
	each(datagram, userdata);
}

unsigned exporter_tell(const struct exporter *exporter, exporter_fn *each, void *userdata)
{
	struct template_datagram datagram;
	unsigned n = 0;

	template_begin(&datagram, &exporter->header);
	for (const struct exporter_record *mine = exporter->records; mine; mine = mine->next) {
		struct template_record record = {.options = mine->options,
						 .id = mine->id,
						 .data = mine->data,
						 .size = mine->size};

		if (template_add(&datagram, &record))
			continue;
		send(&datagram, each, userdata);
		n++;
		template_begin(&datagram, &exporter->header);
		template_add(&datagram, &record);
	}
	if (datagram.n)
		send(&datagram, each, userdata);
	return n + !!datagram.n;
}
