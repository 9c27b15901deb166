/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hsctl/bundle/redact: what is left out of text that goes to others, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "hsctl/bundle/redact.h"
#include "util/macro.h"

#define OUT "[left out]"

static void test_text(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"", ""},
		{"ExecStart=/usr/bin/app --port=80\n", "ExecStart=/usr/bin/app --port=80\n"},
		/* units */
		{"Environment=A=1 B=2\nUser=x\n", "Environment=" OUT "\nUser=x\n"},
		{"  Environment=\"A=1\" \\\n  \"B=2\" \\\n  C=3\nUser=x\n",
		 "  Environment=" OUT "\nUser=x\n"},
		{"Environment=\n", "Environment=\n"},
		{"Environment = A=1\nUser=x\n", "Environment = " OUT "\nUser=x\n"},
		{"Environment=\xc3\xa4=1\n", "Environment=" OUT "\n"},
		{"Environment= \\\n A=1 \\\n# not \\\n ; nor this\n B=2\nUser=x\n",
		 "Environment= " OUT "\nUser=x\n"},
		{"Environment= \nUser=x\n", "Environment= \nUser=x\n"},
		{"EnvironmentFile=/etc/app.env\n", "EnvironmentFile=/etc/app.env\n"},
		{"PassEnvironment=HOME\n", "PassEnvironment=HOME\n"},
		{"SetCredential=key:hunter2\n", "SetCredential=" OUT "\n"},
		{"SetCredentialEncrypted=key: \\\n  abc \\\n  def\n[Unit]\n",
		 "SetCredentialEncrypted=" OUT "\n[Unit]\n"},
		{"LoadCredential=key:/etc/app.key\n", "LoadCredential=key:/etc/app.key\n"},
		/* command lines */
		{"app --password=hunter2 -v\n", "app --password=" OUT " -v\n"},
		{"app --password hunter2 -v\n", "app --password " OUT " -v\n"},
		{"app --password -v\n", "app --password -v\n"},
		{"app --db-pass 'a b' -v\n", "app --db-pass '" OUT "' -v\n"},
		{"app DB_PASSWORD=x y\n", "app DB_PASSWORD=" OUT " y\n"},
		{"{\"api_key\": \"abc\", \"a\": 1}\n", "{\"api_key\": \"" OUT "\", \"a\": 1}\n"},
		{"password = hunter2 x\n", "password = " OUT " x\n"},
		{"--password=a,b;c}d -v\n", "--password=" OUT " -v\n"},
		{"{password: abc, a: 1}\n", "{password: " OUT ", a: 1}\n"},
		{"{\"password\":\"a\\\"b\\\\\",\"a\":1}\n", "{\"password\":\"" OUT "\",\"a\":1}\n"},
		{"\"{\\\"password\\\": \\\"a b\\\\\\\"c\\\", \\\"a\\\": 1}\"\n",
		 "\"{\\\"password\\\": \\\"" OUT "\\\", \\\"a\\\": 1}\"\n"},
		{"\"\\\"token\\\": \\\"a\\\\\\\\\\\", b\"\n",
		 "\"\\\"token\\\": \\\"" OUT "\\\", b\"\n"},
		{"SIGNING_KEY=abc --tls-key abc monkey=1 key=1\n",
		 "SIGNING_KEY=" OUT " --tls-key " OUT " monkey=1 key=1\n"},
		{"A_NAME_THAT_IS_LONGER_THAN_ANYBODY_WOULD_THINK_THAT_A_NAME_COULD_BE_PASSWORD=x\n",
		 "A_NAME_THAT_IS_LONGER_THAN_ANYBODY_WOULD_THINK_THAT_A_NAME_COULD_BE_PASSWORD=" OUT
		 "\n"},
		{"curl -H 'Authorization: Bearer abc def' x\n",
		 "curl -H 'Authorization: " OUT "' x\n"},
		{"Cookie: a=1; b=2\n", "Cookie: " OUT "\n"},
		{"curl -u me:hunter2 x\n", "curl -u me:" OUT " x\n"},
		{"journalctl -u app.service\n", "journalctl -u app.service\n"},
		{"redis://:hunter2@db:6379/0\n", "redis://:" OUT "@db:6379/0\n"},
		{"http://me:hunter2@web/x:y@z\n", "http://me:" OUT "@z\n"},
		{"http://web:80/me@x http://web:80/x\n", "http://web:" OUT "@x http://web:80/x\n"},
		{"the compass=5\n", "the compass=" OUT "\n"},
		{"no password here\n", "no password here\n"},
		/* users */
		{"curl -u \"me:hunter2\" -u 'me:x y' -ume:hunter2 -u'me:x' x\n",
		 "curl -u \"me:" OUT "\" -u 'me:" OUT "' -ume:" OUT " -u'me:" OUT "' x\n"},
		{"[\"curl\",\"-u\",\"me:x\",\"--password\", \"y\"] --username a:b\n",
		 "[\"curl\",\"-u\",\"me:" OUT "\",\"--password\", \"" OUT "\"] --username a:b\n"},
		{"postgres://u:a/b@h u:p@ss@h https://TOKEN@host/x \"https:\\/\\/u:p@h\"\n",
		 "postgres://u:" OUT "@h u:" OUT "@h https://" OUT "@host/x \"https:\\/\\/u:" OUT
		 "@h\"\n"},
		{"me:x@tcp(db:3306)/a app@1.service:app@0.socket app: a@b\n",
		 "me:" OUT "@tcp(db:3306)/a app@1.service:app@0.socket app: a@b\n"},
		{"https://ghp_0123456789abcdef:x-oauth-basic@host https://web:443/x#y\n",
		 "https://" OUT "@host https://web:443/x#y\n"},
		/* on the next line */
		{"ExecStart=app --password \\\n  hunter2 -v\n",
		 "ExecStart=app --password \\\n  " OUT " -v\n"},
		{"app --password \\\n# not yet\n  'hunter2 x' \\\n  -v\n",
		 "app --password \\\n# not yet\n  '" OUT "' \\\n  -v\n"},
		{"app --password= \\\n  hunter2\n", "app --password= \\\n  " OUT "\n"},
		{"app --password \\\n  -v\n", "app --password \\\n  -v\n"},
		{"curl -u \\\n  me:hunter2 x\n", "curl -u \\\n  me:" OUT " x\n"},
		{"app --password='a \\\n b' \\\n -v\n[Unit]\n",
		 "app --password='" OUT "'\n[Unit]\n"},
		/* comments of units */
		{"#Environment=DB=hunter2\n; Environment = DB=x\n# a comment\n",
		 "#Environment=" OUT "\n; Environment = " OUT "\n# a comment\n"},
		{"# Environment=A=1 \\\n#  B=hunter2\n# a comment\nUser=x\n",
		 "# Environment=" OUT "\n# a comment\nUser=x\n"},
		/* what systemd tells of them */
		{"systemd[1]: Ignoring invalid environment assignment 'my-dsn=hunter2': "
		 "/etc/a.env\n",
		 "systemd[1]: Ignoring invalid environment assignment" OUT "\n"},
		{"a.service:5: Invalid environment assignment, ignoring: my-dsn=hunter2\n",
		 "a.service:5: Invalid environment assignment" OUT "\n"},
		{"a.service:5: Invalid syntax, ignoring: A=\"hunter2\n",
		 "a.service:5: Invalid syntax, ignoring" OUT "\n"},
		{"no environment assignment.\n", "no environment assignment.\n"},
		/* languages */
		{"\"password\"=>\"x\", password := \"x\" a\n",
		 "\"password\"=>\"" OUT "\", password := \"" OUT "\" a\n"},
		{"password: a,b c\n", "password: " OUT " c\n"},
		{"--password=a\\ b --password=a\"b c\"d --token 'x'y z\n",
		 "--password=" OUT " --password=" OUT " --token '" OUT "' z\n"},
		{"sh -c 'app --password=x'; user[password]=x&user%5Btoken%5D%3Dy\n",
		 "sh -c 'app --password=" OUT "'; user[password]=" OUT "\n"},
		/* headers */
		{"Authorization: Digest username=\"u\", response=\"hunter2\"\n",
		 "Authorization: " OUT "\n"},
		{"curl -H \"Authorization: Digest a=\\\"u\\\", b=\\\"x\\\"\" x\n",
		 "curl -H \"Authorization: " OUT "\" x\n"},
		{"{\"m\":\"got Cookie: a=1; b\",\"level\":1}\n",
		 "{\"m\":\"got Cookie: " OUT "\",\"level\":1}\n"},
		/* tokens */
		{"sent Bearer eyJhbGciOi.eyJzdWIi.c2ln to web\n", "sent Bearer " OUT " to web\n"},
		{"basic authentication, Basic dXNlcjpwYXNz; bearer of news\n",
		 "basic authentication, Basic " OUT "; bearer of news\n"},
		{"{\"jwt\":\"eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln\",\"a\":\"x\\nBearer "
		 "abcdef123\"}\n",
		 "{\"jwt\":\"" OUT "\",\"a\":\"x\\nBearer " OUT "\"}\n"},
		{"9f86d081884c7d659a2feaa0c55ad015 deadbeef is a hash\n",
		 "9f86d081884c7d659a2feaa0c55ad015 deadbeef is a hash\n"},
		/* PEM */
		{"a -----BEGIN PRIVATE KEY-----\nMIIabc+/\nhunter=\n-----END PRIVATE KEY-----\nb\n",
		 "a -----BEGIN PRIVATE KEY-----" OUT "\n-----END PRIVATE KEY-----\nb\n"},
		{"{\"k\":\"-----BEGIN A-----\\nMII\\n-----END A-----\\n\",\"a\":1}\n",
		 "{\"k\":\"-----BEGIN A-----" OUT "-----END A-----\\n\",\"a\":1}\n"},
		{"app: -----BEGIN A-----\napp: MIIabc\nsystemd: Started b.service.\napp: hunter\n"
		 "app: -----END A-----\nall is well\n",
		 "app: -----BEGIN A-----" OUT "\nsystemd: Started b.service.\n-----END A-----\n"
		 "all is well\n"},
		{"-----BEGIN A-----\n"
		 "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC7VJTUt9Us8cKj\nall is well\n",
		 "-----BEGIN A-----" OUT "\nall is well\n"},
		/* addresses */
		{"from 192.0.2.7:4321 to 0.0.0.0:80\n", "from [address-1]:4321 to 0.0.0.0:80\n"},
		{"192.0.2.8, 192.0.2.7. 192.0.2.8\n", "[address-2], [address-1]. [address-2]\n"},
		{"[2001:db8::1]:443 and ::1\n", "[[address-3]]:443 and ::1\n"},
		{"::ffff:192.0.2.9 ::ffff:127.0.0.1\n", "[address-4] ::ffff:127.0.0.1\n"},
		{"fe80::1%eth0 127.0.0.53 10.0.0.1\n", "[address-5]%eth0 127.0.0.53 10.0.0.1\n"},
		{"peer=198.51.100.1\n", "peer=[address-6]\n"},
		{"\"peer\":\"198.51.100.1:80\"\n", "\"peer\":\"[address-6]:80\"\n"},
		{"198.51.100.0/24\n", "[address-7]/24\n"},
		{"ip-192.0.2.7 192.0.2.7-up db_192.0.2.7_a\n",
		 "ip-[address-1] [address-1]-up db_[address-1]_a\n"},
		/* behind letters and colons, before ports and more */
		{"error from 203.0.113.9:51234: EOF\n", "error from [address-8]:51234: EOF\n"},
		{"read tcp 10.0.0.1:80->203.0.113.9:4321: i/o timeout\n",
		 "read tcp 10.0.0.1:80->[address-8]:4321: i/o timeout\n"},
		{"203.0.113.9:80:200 10:45:03:203.0.113.9 dad:203.0.113.9 c:203.0.113.9\n",
		 "[address-8]:80:200 10:45:03:[address-8] dad:[address-8] c:[address-8]\n"},
		{"v203.0.113.9x at...203.0.113.9... host.203.0.113.9.count deadbeef203.0.113.9\n",
		 "v[address-8]x at...[address-8]... host.[address-8].count deadbeef[address-8]\n"},
		{"203.0.113.9.51234 > 10.0.0.1\n", "[address-8] > 10.0.0.1\n"},
		{"999.203.0.113.9 10.0.0.1.203.0.113.9\n", "[address-8] [address-9]\n"},
		{"203.000.113.009\n", "[address-8]\n"},
		{"to [2001:db8::1]:443: EOF; [2001:db8::1%eth0]:443, 2001:db8::1: 2001:DB8::1.\n",
		 "to [[address-3]]:443: EOF; [[address-3]%eth0]:443, [address-3]: [address-3].\n"},
		{"peer2001:db8::1 peer:2001:db8::1 x:::ffff:203.0.113.9:80 ::ffff:cb00:7109\n",
		 "peer[address-3] peer:[address-3] x:[address-8]:80 [address-8]\n"},
		{"2001:db8:0:0:0:0:0:1:443 deadbeef2001:db8::1 2001:db8::1port\n",
		 "[address-3] deadbeef[address-3] [address-3]port\n"},
		{"::ffff:10.0.0.1 ::ffff:a00:1\n", "::ffff:10.0.0.1 ::ffff:a00:1\n"},
		/* written for others */
		{"{\"m\":\"x\\n203.0.113.9\\u0020203.0.113.9\\t2001:db8::1\"}\n",
		 "{\"m\":\"x\\n[address-8]\\u0020[address-8]\\t[address-3]\"}\n"},
		{"ip%3D203.0.113.9&a=%20203%2E0.113%2e9&b=%5B2001%3Adb8%3A%3A1%5D%3A80\n",
		 "ip%3D[address-8]&a=%20[address-8]&b=%5B[address-3]%5D%3A80\n"},
		{"%253A203.0.113.9 %2520203.0.113.9 50%203.0.113.9 %25203.0.113.9\n",
		 "%253A[address-8] %2520[address-8] 50%[address-8] %25[address-8]\n"},
		{"fe80::1%25eth0 app@2001\\x3adb8\\x3a\\x3a1.service\n",
		 "[address-5]%25eth0 app@[address-3].service\n"},
		/* what only looks like it */
		{"52:54:00:12:34:56 2026-12-01T10:45:03 0000:00:1f.2 core::fmt::h0123 Foo::Bar\n",
		 "52:54:00:12:34:56 2026-12-01T10:45:03 0000:00:1f.2 core::fmt::h0123 Foo::Bar\n"},
		{"MD5:1a:2b:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd sha256:0123456789abcdef\n",
		 "MD5:1a:2b:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd sha256:0123456789abcdef\n"},
		{"app:x:0:0::/home 0::/system.slice 1.2.3.4567 203.0.113\n",
		 "app:x:0:0::/home 0::/system.slice 1.2.3.4567 203.0.113\n"},
		{"at 12:34:56 in 1.2.3 and std::move, abc\n",
		 "at 12:34:56 in 1.2.3 and std::move, abc\n"},
		{"Linux 6.1.0-18 v1.2.3 300.1.1.1\n", "Linux 6.1.0-18 v1.2.3 300.1.1.1\n"},
		{"without an end", "without an end\n"},
	};
	char own_address[] = "10.0.0.1", *own[] = {own_address, NULL};
	struct redact redact = {.own = own};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *text = redact_text(&redact, cases[i].text);

		if (strcmp(text, cases[i].expected))
			fail_msg("%s became %s", cases[i].text, text);
	}
	assert_int_equal(redact.n_environment, 13);
	assert_int_equal(redact.n_known, 9);
	assert_int_equal(redact.n_addresses, 50);
	assert_int_equal(redact.n_secrets, 57);
	redact_done(&redact);
}

static void test_kept(void **state)
{
	static const char text[] = "Environment=A=1\nfrom 192.0.2.7\n";
	struct redact redact = {.keep_environment = true, .keep_addresses = true};
	_cleanup_(freep) char *result = redact_text(&redact, text);
	_cleanup_(freep) char *secret = redact_text(&redact, "Environment=DB_PASSWORD=x\n");
	_cleanup_(freep) char *credential = redact_text(&redact, "SetCredential=a:Environment=b\n");

	(void)state;
	assert_string_equal(result, text);
	/* what is secret by its name stays left out */
	assert_string_equal(secret, "Environment=DB_PASSWORD=" OUT "\n");
	assert_string_equal(credential, "SetCredential=" OUT "\n");
	redact_done(&redact);
}

/* Whatever the text is, it is read to its end. */
static void test_odd(void **state)
{
	static const char *const texts[] = {"password=",
					    "password:",
					    "--password ",
					    "password='",
					    "password=\"\\",
					    "password=\\\"a\\\\",
					    "password\\",
					    "Environment =",
					    "://",
					    "://a:",
					    "://a:@",
					    "-u ",
					    "-u :",
					    "Environment=\\",
					    "Environment=a\\",
					    ":",
					    ":::",
					    "....",
					    "%",
					    "\xff\xfe=\x80",
					    "authorization",
					    "password==x",
					    "\n\n\n"};
	struct redact redact = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(freep) char *text = redact_text(&redact, texts[i]);

		assert_non_null(text);
	}
	redact_done(&redact);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_odd),
	};

	return cmocka_run_group_tests_name("redact", tests, NULL, NULL);
}
