// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/bundle/bundle.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "hsctl/bundle/capture.h"
#include "hsctl/json.h"
#include "system/configfile.h"
#include "util/files.h"
#include "util/strings.h"

#define PART_TIMEOUT  (30 * USEC_PER_SEC)
#define PACK_TIMEOUT  (600 * USEC_PER_SEC)
#define OPEN_MAX_TREE 16

/* NULL: of an interface that has none. */
static bool read_address(const struct sockaddr *address, char text[INET6_ADDRSTRLEN])
{
	const void *bytes = NULL;

	if (address && address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address && address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	return bytes && inet_ntop(address->sa_family, bytes, text, INET6_ADDRSTRLEN);
}

static int list_own_addresses(char ***ret_addresses)
{
	_cleanup_(strings_freep) char **addresses = NULL;
	struct ifaddrs *all;
	int r = 0;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (struct ifaddrs *one = all; r >= 0 && one; one = one->ifa_next) {
		char text[INET6_ADDRSTRLEN];

		if (read_address(one->ifa_addr, text))
			r = strings_add(&addresses, text);
	}
	freeifaddrs(all);
	*ret_addresses = steal_ptr(&addresses);
	return r;
}

static char *new_name(const char *service)
{
	time_t now = time(NULL);
	char text[32] = "";
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(text, sizeof(text), "%Y%m%d-%H%M%S", &tm);
	return format("hotstandby-report-%s%s%s", service ?: "", service ? "-" : "", text);
}

/* mkdtemp(3) makes a new one, which nobody else may read or write. */
static int make_stage(struct bundle *bundle, struct problem *problem)
{
	const char *parent = getenv("TMPDIR") ?: "/tmp";
	char *stage = format("%s/hotstandby-report.XXXXXX", parent);

	if (!stage)
		return problem_set(problem, -ENOMEM, "out of memory");
	if (!mkdtemp(stage)) {
		int error = -errno;

		free(stage);
		return problem_set(problem, error,
				   "cannot make a folder in %s: %s; another place is taken from "
				   "$TMPDIR",
				   parent, strerror(-error));
	}
	bundle->stage = stage;
	bundle->folder = format("%s/%s", stage, bundle->name);
	if (!bundle->folder || mkdir(bundle->folder, 0700) < 0)
		return problem_set(problem, -EIO, "cannot make a folder in %s: %m", stage);
	return 0;
}

int bundle_begin(struct bundle *bundle, const char *service, struct problem *problem)
{
	int r;

	bundle->parts = json_object_new_array();
	bundle->name = new_name(service);
	if (!bundle->name)
		return problem_set(problem, -ENOMEM, "out of memory");
	r = service ? strings_add(&bundle->services, service) : configfile_list(&bundle->services);
	if (r < 0)
		return problem_set(problem, r, "cannot read the settings of all services: %s",
				   strerror(-r));
	/* without them more is left out, which does no harm */
	(void)list_own_addresses(&bundle->own_addresses);
	bundle->redact.own = bundle->own_addresses;
	return make_stage(bundle, problem);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void bundle_done(struct bundle *bundle)
{
	if (bundle->stage)
		nftw(bundle->stage, remove_one, OPEN_MAX_TREE, FTW_DEPTH | FTW_PHYS);
	free(bundle->name);
	free(bundle->stage);
	free(bundle->folder);
	strings_free(bundle->services);
	strings_free(bundle->own_addresses);
	redact_done(&bundle->redact);
	json_object_put(bundle->parts);
	*bundle = (struct bundle) {0};
}

static void note(struct bundle *bundle, const char *name, size_t bytes, const char *problem)
{
	json_object *part = json_object_new_object();

	json_object_object_add(part, "name", json_object_new_string(name));
	json_object_object_add(part, "bytes", json_object_new_uint64(bytes));
	json_object_object_add(part, "problem",
			       problem && problem[0] ? json_object_new_string(problem) : NULL);
	json_object_array_add(bundle->parts, part);
}

static char *join(const char *const *command)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (; out && *command; command++)
		fprintf(out, "%s%s", !strcmp(*command, BUNDLE_SELF) ? "hsctl" : *command,
			command[1] ? " " : "");
	if (!out || fclose(out))
		return NULL;
	return text;
}

/* What went wrong with it, for the reader; "" for nothing. */
static void judge(const struct capture *capture, const char *command, bool answers, char *sentence,
		  size_t size)
{
	const char *said = capture->errors[0] ? capture->errors : capture->text;
	size_t first = strcspn(said, "\n");

	sentence[0] = '\0';
	if (capture->late)
		snprintf(sentence, size, "%s took longer than 30s; what it had said is there",
			 command);
	else if (capture->cut)
		snprintf(sentence, size, "%s said more than 16 MiB; the rest is not there",
			 command);
	else if (capture->status == 127 && !said[0])
		snprintf(sentence, size, "%.*s is not installed", (int)strcspn(command, " "),
			 command);
	else if (capture->status && !(answers && capture->text[0]))
		snprintf(sentence, size, "%s ended with status %d%s%.*s", command, capture->status,
			 first ? ": " : "", (int)MIN(first, (size_t)160), said);
	else if (!capture->text[0])
		snprintf(sentence, size, "%s said nothing", command);
}

/* Text of a part, or of a sentence about it. */
static char *hide(struct bundle *bundle, const struct bundle_part *part, const char *text)
{
	bool keep = bundle->redact.keep_addresses;
	char *hidden;

	bundle->redact.keep_addresses |= part->versions;
	hidden = redact_text(&bundle->redact, text);
	bundle->redact.keep_addresses = keep;
	return hidden;
}

/* The file of a part. JSON stays JSON: README.txt tells of what went wrong as well. */
static char *compose(const struct bundle_part *part, const char *text, const char *errors,
		     const char *problem)
{
	if (strstr(part->name, ".json"))
		return strdup(text);
	return format("%s%s%s%s%s", text, errors, problem[0] ? "[hsctl report: " : "", problem,
		      problem[0] ? "]\n" : "");
}

static int write_part(struct bundle *bundle, const struct bundle_part *part, const char *command,
		      const struct capture *capture)
{
	_cleanup_(freep) char *path = format("%s/%s", bundle->folder, part->name), *text = NULL,
			      *errors = NULL, *shown = NULL, *whole = NULL;
	char sentence[512];
	int r;

	judge(capture, command, part->answers, sentence, sizeof(sentence));
	text = hide(bundle, part, capture->text);
	errors = hide(bundle, part, capture->errors);
	shown = hide(bundle, part, sentence);
	if (!path || !text || !errors || !shown)
		return -ENOMEM;
	shown[strcspn(shown, "\n")] = '\0';
	whole = compose(part, text, errors, shown);
	if (!whole)
		return -ENOMEM;
	r = file_write(path, whole, 0600);
	if (r >= 0)
		note(bundle, part->name, strlen(whole), shown);
	return r;
}

int bundle_add(struct bundle *bundle, const struct bundle_part *part)
{
	_cleanup_(capture_done) struct capture capture = {0};
	_cleanup_(freep) char *line = join(part->command);
	int r;

	if (!line)
		return -ENOMEM;
	r = capture_run(part->command, PART_TIMEOUT, bundle->interrupted, &capture);
	return r < 0 ? r : write_part(bundle, part, line, &capture);
}

/* ---- README.txt, and the file ---- */

static void print_left_out(const struct bundle *bundle, FILE *out)
{
	const struct redact *redact = &bundle->redact;

	fprintf(out,
		"\nLeft out: %u values of Environment= and SetCredential=, %u of what is called a "
		"password,\nsecret, token, key or the like, %u addresses (%zu different ones) that "
		"are not this\nmachine's own; each has the same number everywhere. Contents of "
		"EnvironmentFile= and\nLoadCredential= were not read. A secret that has no such "
		"name "
		"cannot be told from other\ntext: look before you hand it on.\n",
		redact->n_environment, redact->n_secrets, redact->n_addresses, redact->n_known);
}

static int write_readme(struct bundle *bundle)
{
	_cleanup_(freep) char *path = format("%s/README.txt", bundle->folder), *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out || !path)
		return -ENOMEM;
	fprintf(out, "Made by hsctl %s report. A file for each thing that was asked:\n\n",
		HS_VERSION);
	for (size_t i = 0; i < json_count(bundle->parts); i++) {
		json_object *part = json_object_array_get_idx(bundle->parts, i);
		const char *problem = json_text(part, "problem");

		fprintf(out, "%-28s %9" PRId64 " bytes%s%s\n", json_text(part, "name"),
			json_number(part, "bytes", 0), problem[0] ? "  " : "", problem);
	}
	print_left_out(bundle, out);
	return fclose(out) ? -ENOMEM : file_write(path, text, 0600);
}

const char *bundle_suffix(void)
{
	return program_is_installed("zstd") ? ".tar.zst" : ".tar.gz";
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), n = strlen(end);

	return length > n && !strcmp(text + length - n, end);
}

/* tar's option for the name; NULL: it is none of ours. */
static const char *compression(const char *output)
{
	if (ends_with(output, ".tar.zst"))
		return "--zstd";
	if (ends_with(output, ".tar.gz"))
		return "--gzip";
	return ends_with(output, ".tar") ? "--no-auto-compress" : NULL;
}

/* A new file, never one that is there, and nowhere that a link leads. */
static int make_output(const char *output, struct problem *problem)
{
	int fd = open(output, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	if (errno == EEXIST)
		return problem_set(problem, -EEXIST,
				   "%s is there already; name another file with --output=", output);
	return problem_set(problem, -errno,
			   "cannot make %s: %m; name another file with --output=", output);
}

static int run_tar(struct bundle *bundle, const char *output, int fd, struct problem *problem)
{
	_cleanup_(close_fdp) int inherited = fcntl(fd, F_DUPFD, 3);
	/* the file that was made, whatever stands under its name by now */
	_cleanup_(freep) char *file = format("/dev/fd/%d", inherited);
	const char *const command[] = {"tar",
				       "--create",
				       compression(output),
				       "--owner=root:0",
				       "--group=root:0",
				       "--sort=name",
				       "--directory",
				       bundle->stage,
				       "--file",
				       file,
				       bundle->name,
				       NULL};
	_cleanup_(capture_done) struct capture capture = {0};
	int r;

	if (inherited < 0 || !file)
		return problem_set(problem, -EIO, "cannot pack the report: %m");
	r = capture_run(command, PACK_TIMEOUT, bundle->interrupted, &capture);
	if (r < 0)
		return problem_set(problem, r, "cannot pack the report: %s", strerror(-r));
	if (!capture.status && !capture.late)
		return 0;
	return problem_set(problem, -EIO, "cannot pack the report: tar %s%.200s",
			   capture.errors[0] ? "says: " : "failed, or is not installed",
			   capture.errors);
}

int bundle_pack(struct bundle *bundle, const char *output, uint64_t *ret_bytes,
		struct problem *problem)
{
	_cleanup_(close_fdp) int fd = -1;
	struct stat st;
	int r;

	if (!compression(output))
		return problem_set(problem, -EINVAL,
				   "%s has no name that says what it is; allowed are .tar.zst, "
				   ".tar.gz and .tar",
				   output);
	r = write_readme(bundle);
	if (r < 0)
		return problem_set(problem, r, "cannot write in %s: %s", bundle->folder,
				   strerror(-r));
	fd = make_output(output, problem);
	if (fd < 0)
		return fd;
	r = run_tar(bundle, output, fd, problem);
	if (r >= 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0) {
		unlink(output);
		return r;
	}
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}
