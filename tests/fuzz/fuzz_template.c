/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What exporters, or whoever says to be one, send: NetFlow v9 and IPFIX. The input is datagrams one
 * behind the other, each with its size in two bytes before it. What is told again is heard as it
 * was told. */
#include "core/wire/exporters.h"
#include "core/wire/replay.h"
#include "fuzz.h"
#include "util/macro.h"

static struct exporters exporters, again;
static struct exporter_ends ends;

static void on_told(const struct template_datagram *datagram, void *userdata)
{
	check(!userdata && datagram->n && datagram->size <= sizeof(datagram->data));
	exporters_hear(&again, &ends, datagram->data, datagram->size);
}

static void check_told(const struct exporter *exporter)
{
	ends = exporter->ends;
	exporter_tell(exporter, on_told, NULL);
	check(again.counts.templates == exporter->n_records);
	check(!exporter->n_records || again.list[0]->bytes == exporter->bytes);
	exporters_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t bytes = 0;

	(void)replay_check(data, size);
	for (size_t at = 0; at + 2 <= size;) {
		size_t length = MIN((size_t)data[at] << 8 | data[at + 1], size - at - 2);

		ends = (struct exporter_ends) {.source_port = (uint16_t)(1 + length % 3)};
		exporters_hear(&exporters, &ends, data + at + 2, length);
		at += 2 + length;
	}
	check(exporters.counts.bytes <= EXPORTERS_BYTES_MAX);
	for (unsigned i = 0; i < exporters.counts.exporters; i++) {
		bytes += exporters.list[i]->bytes + sizeof(struct exporter);
		check(exporters.list[i]->n_records <= EXPORTERS_TEMPLATES_MAX);
		check_told(exporters.list[i]);
	}
	check(bytes == exporters.counts.bytes);
	exporters_done(&exporters);
	return 0;
}
