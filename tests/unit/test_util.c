/* SPDX-License-Identifier: GPL-2.0-or-later */
/* util/: text to value, spans for people, whole files, lists of strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "util/clock.h"
#include "util/fdpass.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/parse.h"
#include "util/strings.h"
#include "util/text.h"

#define UNTOUCHED 4711

static void test_parse_unsigned(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		int result;
		uint64_t value;
	} cases[] = {
		{"0", 0, 10, 0, 0},
		{"10", 0, 10, 0, 10},
		{"007", 0, 10, 0, 7},
		{"18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
		{"00000000000000000000000000000000000000005", 0, 10, 0, 5},
		{"11", 0, 10, -ERANGE, 0},
		{"1", 2, 10, -ERANGE, 0},
		{"18446744073709551616", 0, UINT64_MAX, -ERANGE, 0},
		{"99999999999999999999999999", 0, UINT64_MAX, -ERANGE, 0},
		/* malformed wins over too large */
		{"99999999999999999999999999x", 0, UINT64_MAX, -EINVAL, 0},
		{"", 0, 10, -EINVAL, 0},
		{NULL, 0, 10, -EINVAL, 0},
		{" 1", 0, 10, -EINVAL, 0},
		{"1 ", 0, 10, -EINVAL, 0},
		{"+1", 0, 10, -EINVAL, 0},
		{"-1", 0, 10, -EINVAL, 0},
		{"0x1", 0, 10, -EINVAL, 0},
		{"1.0", 0, 10, -EINVAL, 0},
		{"1\n", 0, 10, -EINVAL, 0},
		{"\xd9\xa3", 0, 10, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = UNTOUCHED;
		int r = parse_unsigned(cases[i].text, cases[i].min, cases[i].max, &value);

		if (r != cases[i].result || value != (r < 0 ? UNTOUCHED : cases[i].value))
			fail_msg("\"%s\": %d, %" PRIu64, cases[i].text, r, value);
	}
}

static void test_parse_bool(void **state)
{
	static const char *const yes[] = {"1", "yes", "y", "true", "t", "on", "YES", "True", "oN"};
	static const char *const no[] = {"0", "no", "n", "false", "f", "off", "NO", "False", "oFF"};
	static const char *const bad[] = {"", "2", "ye", "yes ", " yes", "onn", "-1", "00", NULL};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		bool value = false;

		assert_int_equal(parse_bool(yes[i], &value), 0);
		assert_true(value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		bool value = true;

		assert_int_equal(parse_bool(no[i], &value), 0);
		assert_false(value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		bool value = true;

		assert_int_equal(parse_bool(bad[i], &value), -EINVAL);
		assert_true(value);
	}
}

static void test_parse_span(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t usec;
	} cases[] = {
		{"0", 0, 0},
		{"0us", 0, 0},
		{"5", 0, 5000000},
		{"1.5", 0, 1500000},
		{"50ms", 0, 50000},
		{"50 ms", 0, 50000},
		{"1.5s", 0, 1500000},
		{"0.000001s", 0, 1},
		{"0.0000019s", 0, 1},
		{"0.0000000000000000000000001s", 0, 0},
		{"2min", 0, 120000000},
		{"2m", 0, 120000000},
		{"1min 30s", 0, 90000000},
		{"1min30s", 0, 90000000},
		{"30s 1min", 0, 90000000},
		{"1h 1min 1s 1ms 1us", 0, 3661001001},
		{"1.5h", 0, 5400000000},
		{"1d", 0, 86400000000},
		{"1w", 0, 604800000000},
		{"0.1w", 0, 60480000000},
		{"0.333333333333w", 0, 201599999999},
		{"250usec", 0, 250},
		{"3 seconds", 0, 3000000},
		{"1 minute 1 second", 0, 61000000},
		{"2\thours", 0, 7200000000},
		{"2hr", 0, 7200000000},
		{"18446744073709551614us", 0, UINT64_MAX - 1},
		/* the largest number means "for ever" elsewhere, and overflows are overflows */
		{"18446744073709551615us", -ERANGE, 0},
		{"18446744073709551616us", -ERANGE, 0},
		{"18446744073709551615s", -ERANGE, 0},
		{"18446744073709551614us 1us", -ERANGE, 0},
		{"18446744073709551615us 1us", -ERANGE, 0},
		{"99999999999999999999999999999999s", -ERANGE, 0},
		{"30500569w", -ERANGE, 0},
		{"infinity", -ERANGE, 0},
		{"", -EINVAL, 0},
		{NULL, -EINVAL, 0},
		{" ", -EINVAL, 0},
		{" 1s", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
		{"+1s", -EINVAL, 0},
		{".5s", -EINVAL, 0},
		{"5.s", -EINVAL, 0},
		{"1.2.3s", -EINVAL, 0},
		{"1,5s", -EINVAL, 0},
		{"5 5", -EINVAL, 0},
		{"1min 30", -EINVAL, 0},
		{"1S", -EINVAL, 0},
		{"1M", -EINVAL, 0},
		{"1month", -EINVAL, 0},
		{"1y", -EINVAL, 0},
		{"1sx", -EINVAL, 0},
		{"1s,", -EINVAL, 0},
		{"0x10s", -EINVAL, 0},
		{"1e3s", -EINVAL, 0},
		{"99999999999999999999999s x", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t usec = UNTOUCHED;
		int r = parse_span(cases[i].text, &usec);

		if (r != cases[i].result || usec != (r < 0 ? UNTOUCHED : cases[i].usec))
			fail_msg("\"%s\": %d, %" PRIu64, cases[i].text, r, usec);
	}
}

static void test_parse_percent(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint32_t share;
	} cases[] = {
		{"0%", 0, 0},
		{"0.000%", 0, 0},
		{"5%", 0, 3277},
		{"50%", 0, 32768},
		{"0.5%", 0, 328},
		{"12.25%", 0, 8028},
		{"99.999%", 0, 65535},
		{"100%", 0, 65535},
		{"100.000%", 0, 65535},
		{"00005%", 0, 3277},
		/* less than the smallest share, but not nothing */
		{"0.0001%", 0, 1},
		{"0.00000000000001%", 0, 1},
		{"101%", -ERANGE, 0},
		{"100.1%", -ERANGE, 0},
		{"100.00000000000001%", -ERANGE, 0},
		{"18446744073709551617%", -ERANGE, 0},
		{"", -EINVAL, 0},
		{NULL, -EINVAL, 0},
		{"%", -EINVAL, 0},
		{"5", -EINVAL, 0},
		{"5 %", -EINVAL, 0},
		{" 5%", -EINVAL, 0},
		{"5%%", -EINVAL, 0},
		{"5% ", -EINVAL, 0},
		{"-5%", -EINVAL, 0},
		{".5%", -EINVAL, 0},
		{"5.%", -EINVAL, 0},
		{"5,5%", -EINVAL, 0},
		{"1e1%", -EINVAL, 0},
		{"off", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t share = UNTOUCHED;
		int r = parse_percent(cases[i].text, &share);

		if (r != cases[i].result || share != (r < 0 ? UNTOUCHED : cases[i].share))
			fail_msg("\"%s\": %d, %" PRIu32, cases[i].text, r, share);
	}
}

static void test_span_format(void **state)
{
	static const struct {
		uint64_t usec;
		const char *text;
	} cases[] = {
		{0, "0"},
		{1, "1us"},
		{250, "250us"},
		{999, "999us"},
		{1000, "1ms"},
		{51234, "51.2ms"},
		{50000, "50ms"},
		{999949, "999.9ms"},
		{999950, "1s"},
		{1400000, "1.4s"},
		{59949999, "59.9s"},
		{59950000, "1min"},
		{60000000, "1min"},
		{125000000, "2min 5s"},
		{3599499999, "59min 59s"},
		{3599500000, "1h"},
		{12000000000, "3h 20min"},
		{86400000000, "1d"},
		{187200000000, "2d 4h"},
		{UINT64_MAX - 1, "213503982d 8h"},
		{UINT64_MAX, "infinity"},
	};
	char text[SPAN_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(span_format(cases[i].usec, text, sizeof(text)), cases[i].text);
}

/* What is written for people must be readable again, as long as nothing was rounded. */
static void test_span_round_trip(void **state)
{
	static const uint64_t spans[] = {0,	  1,	     999,	 1500,	      50000,
					 1400000, 125000000, 3600000000, 12000000000, 187200000000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
		char text[SPAN_TEXT_MAX];
		uint64_t usec;

		assert_int_equal(parse_span(span_format(spans[i], text, sizeof(text)), &usec), 0);
		assert_int_equal(usec, spans[i]);
	}
}

static void test_clock(void **state)
{
	uint64_t before = now_usec(), between = now_nsec(), after = now_usec();

	(void)state;
	assert_true(before <= between / 1000 && between / 1000 <= after);
	assert_true(before > 0);
}

/* ---- files: each test in a folder of its own ---- */

static int make_folder(void **state)
{
	char template[] = "/tmp/hotstandby-test-XXXXXX";

	*state = mkdtemp(template) ? strdup(template) : NULL;
	return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
	_cleanup_(freep) char *command = format("rm -rf '%s'", (char *)*state);
	int r = system(command);

	free(*state);
	return r;
}

static void test_file_write_and_read(void **state)
{
	_cleanup_(freep) char *path = format("%s/file", (char *)*state);
	_cleanup_(freep) char *text = NULL;
	struct stat st;

	assert_int_equal(file_read(path, 100, &text), -ENOENT);
	assert_null(text);

	assert_int_equal(file_write(path, "one\n", 0640), 0);
	assert_int_equal(file_read(path, 100, &text), 0);
	assert_string_equal(text, "one\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	free(steal_ptr(&text));

	/* replaced, with the new mode, whatever the umask */
	umask(0077);
	assert_int_equal(file_write(path, "", 0644), 0);
	umask(0022);
	assert_int_equal(file_read(path, 100, &text), 0);
	assert_string_equal(text, "");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void test_file_write_replaces_link(void **state)
{
	_cleanup_(freep) char *target = format("%s/target", (char *)*state);
	_cleanup_(freep) char *link = format("%s/link", (char *)*state);
	_cleanup_(freep) char *text = NULL;

	assert_int_equal(file_write(target, "target", 0644), 0);
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(file_write(link, "link", 0644), 0);
	assert_int_equal(file_read(target, 100, &text), 0);
	assert_string_equal(text, "target");
}

static void test_file_write_fails_clean(void **state)
{
	_cleanup_(freep) char *missing = format("%s/no/such/file", (char *)*state);
	_cleanup_(freep) char *folder = format("%s/folder", (char *)*state);
	_cleanup_(freep) char *inside = format("%s/folder/file", (char *)*state);
	_cleanup_(freep) char *leftover = NULL;

	assert_int_equal(file_write(missing, "x", 0644), -ENOENT);

	/* a rename onto a folder fails: no temporary file may stay */
	assert_int_equal(make_folders(inside, 0755), 0);
	assert_true(file_write(folder, "x", 0644) < 0);
	leftover = format("test -z \"$(ls -A '%s' | grep -v '^folder$')\"", (char *)*state);
	assert_int_equal(system(leftover), 0);
}

static void test_file_read_limits(void **state)
{
	_cleanup_(freep) char *path = format("%s/file", (char *)*state);
	_cleanup_(freep) char *large = calloc(1, 100001);
	_cleanup_(freep) char *text = NULL;
	int fd;

	memset(large, 'x', 100000);
	assert_int_equal(file_write(path, large, 0644), 0);
	assert_int_equal(file_read(path, 99999, &text), -EFBIG);
	assert_int_equal(file_read(path, 100, &text), -EFBIG);
	assert_int_equal(file_read(path, 0, &text), -EFBIG);
	assert_int_equal(file_read(path, SIZE_MAX, &text), -EINVAL);
	assert_null(text);
	assert_int_equal(file_read(path, 100000, &text), 0);
	assert_string_equal(text, large);
	free(steal_ptr(&text));

	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, "a\0b", 3), 3);
	close_fd(fd);
	assert_int_equal(file_read(path, 100, &text), -EBADMSG);
	assert_int_equal(file_read((char *)*state, 100, &text), -EISDIR);
	assert_null(text);
}

/* A FIFO without a writer must not hold the reader up. */
static void test_file_read_fifo(void **state)
{
	_cleanup_(freep) char *path = format("%s/fifo", (char *)*state);
	_cleanup_(freep) char *text = NULL;

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(file_read(path, 100, &text), 0);
	assert_string_equal(text, "");
}

/* Files of the kernel have size 0 for stat(). */
static void test_file_read_proc(void **state)
{
	_cleanup_(freep) char *text = NULL;

	(void)state;
	assert_int_equal(file_read("/proc/self/mountinfo", 1 << 20, &text), 0);
	assert_true(strlen(text) > 0);
}

static void test_make_folders(void **state)
{
	_cleanup_(freep) char *path = format("%s/a//b/c/", (char *)*state);
	_cleanup_(freep) char *file = format("%s/a/file", (char *)*state);
	_cleanup_(freep) char *below = format("%s/a/file/d", (char *)*state);
	struct stat st;

	umask(0077);
	assert_int_equal(make_folders(path, 0755), 0);
	umask(0022);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(make_folders(path, 0700), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);

	assert_int_equal(file_write(file, "", 0644), 0);
	assert_int_equal(make_folders(file, 0755), -ENOTDIR);
	assert_int_equal(make_folders(below, 0755), -ENOTDIR);
	assert_int_equal(make_folders("", 0755), -EINVAL);
	assert_int_equal(make_folders("/", 0755), 0);
}

static void test_format(void **state)
{
	_cleanup_(freep) char *text = format("%s-%d", "a", 1);

	(void)state;
	assert_string_equal(text, "a-1");
}

static void test_strings(void **state)
{
	_cleanup_(strings_freep) char **a = NULL, **b = NULL;

	(void)state;
	assert_int_equal(strings_count(NULL), 0);
	assert_false(strings_contain(NULL, "x"));
	assert_true(strings_equal(NULL, NULL));
	strings_sort(NULL);
	strings_free(NULL);

	assert_int_equal(strings_take(&a, NULL), -ENOMEM);
	assert_int_equal(strings_add(&a, "two"), 0);
	assert_int_equal(strings_add(&a, "one"), 0);
	assert_int_equal(strings_take(&a, format("%s", "three")), 0);
	assert_int_equal(strings_count(a), 3);
	assert_true(strings_contain(a, "one"));
	assert_false(strings_contain(a, "on"));

	assert_false(strings_equal(a, b));
	assert_int_equal(strings_add(&b, "one"), 0);
	assert_int_equal(strings_add(&b, "three"), 0);
	assert_int_equal(strings_add(&b, "two"), 0);
	assert_false(strings_equal(a, b));
	strings_sort(a);
	assert_true(strings_equal(a, b));
}

static void test_text(void **state)
{
	static const struct {
		const char *text, *ascii, *tame;
	} cases[] = {
		{"", "", ""},
		{"nginx: master", "nginx: master", "nginx: master"},
		{"\033[31mX\033[2J", "?[31mX?[2J", "?[31mX?[2J"},
		{"a\nb\tc\rd\177", "a?b?c?d?", "a\nb\tc?d?"},
		{"\xff\xfe\x80", "???", "???"},
		{"Gr\xc3\xbc\xc3\x9f", "Gr????", "Gr\xc3\xbc\xc3\x9f"},
		{"\xe2\x82\xac\xf0\x9f\x98\x80", "???????", "\xe2\x82\xac\xf0\x9f\x98\x80"},
		/* control characters of eight bits, as UTF-8: CSI */
		{"\xc2\x9b"
		 "2J",
		 "??2J", "??2J"},
		{"\xc2\xa0", "??", "\xc2\xa0"},
		/* longer than need be, surrogates, beyond the end, cut off */
		{"\xc0\x80", "??", "??"},
		{"\xe0\x80\x9b", "???", "???"},
		{"\xed\xa0\x80", "???", "???"},
		{"\xf4\x90\x80\x80", "????", "????"},
		{"x\xe2\x82", "x??", "x??"},
		{"\xe2\x82x", "??x", "??x"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[32];

		strcpy(text, cases[i].text);
		assert_string_equal(text_to_ascii(text), cases[i].ascii);
		strcpy(text, cases[i].text);
		assert_string_equal(text_tame(text), cases[i].tame);
		assert_string_equal(text_tame(text), cases[i].tame);
	}
}

static bool same_file(int a, int b)
{
	struct stat one, other;

	return !fstat(a, &one) && !fstat(b, &other) && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_fdpass(void **state)
{
	int pair[2], passed[3], came[3] = {-1, -1, -1};
	unsigned before = open_descriptors();
	size_t n = 3;
	char text[16];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (unsigned i = 0; i < 3; i++)
		passed[i] = open(i == 1 ? "/dev/null" : "/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fdpass_send(pair[0], "three", 5, passed, 3, 0), 0);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof(text), came, &n, 0), 5);
	assert_memory_equal(text, "three", 5);
	assert_int_equal(n, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(same_file(came[i], passed[i]) && came[i] != passed[i]);
		assert_int_equal(fcntl(came[i], F_GETFD), FD_CLOEXEC);
		close_fd(came[i]);
	}
	/* room for one: the others do not stay open unseen */
	assert_int_equal(fdpass_send(pair[0], "one", 3, passed, 3, 0), 0);
	n = 1;
	assert_int_equal(fdpass_receive(pair[1], text, sizeof(text), came, &n, 0), 3);
	assert_int_equal(n, 1);
	close_fd(came[0]);
	/* none expected, none sent, nothing there, the other end closed */
	assert_int_equal(fdpass_send(pair[0], "none", 4, passed, 2, 0), 0);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof(text), NULL, NULL, 0), 4);
	assert_int_equal(open_descriptors(), before + 5);
	assert_int_equal(fdpass_send(pair[0], "none", 4, NULL, 0, 0), 0);
	n = 3;
	assert_int_equal(fdpass_receive(pair[1], text, sizeof(text), came, &n, 0), 4);
	assert_int_equal(n, 0);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof(text), came, &n, MSG_DONTWAIT),
			 -EAGAIN);
	for (unsigned i = 0; i < 3; i++)
		close_fd(passed[i]);
	close_fd(pair[0]);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof(text), came, &n, 0), 0);
	assert_int_equal(fdpass_send(pair[1], "late", 4, NULL, 0, 0), -EPIPE);
	close_fd(pair[1]);
	assert_int_equal(open_descriptors(), before);
}

static void test_fdpass_too_many(void **state)
{
	int fds[FDPASS_MAX + 1] = {0};

	(void)state;
	assert_int_equal(fdpass_send(-1, "x", 1, fds, FDPASS_MAX + 1, 0), -E2BIG);
	assert_int_equal(fdpass_send(-1, "x", 1, fds, FDPASS_MAX, 0), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_parse_unsigned),
		cmocka_unit_test(test_parse_bool),
		cmocka_unit_test(test_parse_span),
		cmocka_unit_test(test_parse_percent),
		cmocka_unit_test(test_span_format),
		cmocka_unit_test(test_span_round_trip),
		cmocka_unit_test(test_clock),
		cmocka_unit_test_setup_teardown(test_file_write_and_read, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(test_file_write_replaces_link, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(test_file_write_fails_clean, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(test_file_read_limits, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_file_read_fifo, make_folder, remove_folder),
		cmocka_unit_test(test_file_read_proc),
		cmocka_unit_test_setup_teardown(test_make_folders, make_folder, remove_folder),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_fdpass),
		cmocka_unit_test(test_fdpass_too_many),
	};

	return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
