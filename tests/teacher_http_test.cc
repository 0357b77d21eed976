// SPDX-License-Identifier: Apache-2.0
// The transport against a hostile world: every case sends one question (or as
// many as it says) and is judged by the state of the reply, the exit status it
// stands for, and how many whole requests the server received.
#include <gtest/gtest.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <spawn.h>
#include <sys/wait.h>

#include "src/teacher/pace.h"
#include "src/teacher/request.h"
#include "src/teacher/retry.h"
#include "src/teacher/stop.h"
#include "tests/teacher_mock.h"
#include "tests/temporary.h"

namespace
{

// Names of these tests: no test looks anything up in the world.
int resolve(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	using Function = int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	static Function real = (Function)dlsym(RTLD_NEXT, "getaddrinfo");
	if (name && !strcmp(name, "nowhere.test"))
		return EAI_NONAME;
	if (name && !strcmp(name, "slow.test")) {
		usleep(700 * 1000);
		return EAI_AGAIN;
	}
	if (name && !strcmp(name, "here.test"))
		name = "127.0.0.1";
	return real(name, service, hints, out);
}

using Script = Mock::Script;

// Read the request, send these bytes, close.
Script says(const std::string &bytes)
{
	return [bytes](Connection &c) {
		if (c.read_request())
			c.send(bytes);
	};
}

Script says(const std::string &status, const std::string &headers, const std::string &body)
{
	return says(reply(status, headers, body));
}

Script good(const std::string &body)
{
	return says("200 OK", "", body);
}

Script content(const std::string &json)
{
	return good(answer("\"content\":" + json));
}

// As says, but the connection stays open until the client leaves.
Script says_and_hangs(const std::string &bytes)
{
	return [bytes](Connection &c) {
		if (c.read_request() && c.send(bytes))
			c.hang();
	};
}

std::string chunk(const std::string &bytes)
{
	char size[32];
	snprintf(size, sizeof size, "%zx\r\n", bytes.size());
	return size + bytes + "\r\n";
}

const std::string CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string ERROR_429 = error_body("Rate limit reached", "\"requests\"", "\"rate_limit_exceeded\"");
const double NONE = TEACHER_NO_WAIT;

struct Case {
	const char *name;
	Script serve;
	enum teacher_state state;
	int stop, code;
	bool retry;
	const char *reason;
	double wait = NONE;
	int receipts = 1;
	double timeout = 20, stall_time = 60;
};

void PrintTo(const Case &c, std::ostream *out)
{
	*out << c.name;
}

const auto DOUBT = TEACHER_IN_DOUBT, FREE = TEACHER_RELEASED, DENIED = TEACHER_REJECTED, BAD = TEACHER_UNUSABLE,
	   FINE = TEACHER_ANSWERED;

// B: sent without a complete reply.
const Case sent_cases[] = {
	{"H13_zero_bytes", says(""), DOUBT, 0, 69, true, "broken off"},
	{"H14_stall_before_headers", says_and_hangs(""), DOUBT, 0, 69, true, "timed out", NONE, 1, 0.4},
	{"H15_stall_after_headers", says_and_hangs("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), DOUBT, 0, 69, true,
	 "timed out", NONE, 1, 0.4, 0.1},
	{"H16_shorter_than_its_length", says("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + answer()), DOUBT, 0, 69,
	 true, "broken off"},
	{"H17_no_last_chunk", says(CHUNKED + chunk(answer())), DOUBT, 0, 69, true, "broken off"},
	{"H18_slow_loris",
	 [](Connection &c) {
		 c.read_request();
		 c.send("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n");
		 while (c.send("{") && !c.wait_readable(50) && !c.mock.stopping)
			 ;
	 },
	 DOUBT, 0, 69, true, "stalled", NONE, 1, 20, 0.3},
	{"H18_white_space_is_thinking",
	 [](Connection &c) {
		 c.read_request();
		 c.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
		 for (int i = 0; i < 6; i++) {
			 c.send("\n");
			 usleep(100 * 1000);
		 }
		 c.send(answer());
	 },
	 FINE, 0, 0, false, "", NONE, 1, 20, 0.2},
	{"H19_reset_in_body",
	 [](Connection &c) {
		 c.read_request();
		 c.send("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"id\"");
		 usleep(20 * 1000);
		 c.reset();
	 },
	 DOUBT, 0, 69, true, "broken off"},
	{"H21_408", says("408 Request Timeout", "", ""), DOUBT, 0, 69, true, "http 408"},
	{"H22_409", says("409 Conflict", "", "{}"), DOUBT, 0, 69, true, "http 409"},
	{"H23_500", says("500 Internal Server Error", "", error_body("oops", "\"server_error\"", "null")), DOUBT, 0, 69,
	 true, "http 500"},
	{"H24_502", says("502 Bad Gateway", "", "<html>bad gateway</html>"), DOUBT, 0, 69, true, "http 502"},
	{"H25_504", says("504 Gateway Timeout", "", ""), DOUBT, 0, 69, true, "http 504"},
	{"H26_524_html", says("524 A Timeout Occurred", "", "<!DOCTYPE html><title>524</title>"), DOUBT, 0, 69, true,
	 "http 524"},
	{"H27_http2_goaway", says(std::string("\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\0", 17)), DOUBT, 0, 69, true,
	 "not http"},
};

// C: rejected, unbilled.
const Case rejected_cases[] = {
	{"H28_429_bare", says("429 Too Many Requests", "", ""), FREE, 0, 75, true, "http 429"},
	{"H29_retry_after", says("429 Too Many Requests", "Retry-After: 2\r\n", ERROR_429), FREE, 0, 75, true,
	 "http 429", 2},
	{"H29_retry_after_fraction", says("429 Too Many Requests", "retry-after: 0.5\r\n", ""), FREE, 0, 75, true,
	 "http 429", 0.5},
	{"H30_date_ahead",
	 says("429 Too Many Requests",
	      "Date: Sun, 22 Nov 2036 10:00:00 GMT\r\nRetry-After: Sun, 22 Nov 2036 10:00:07 GMT\r\n", ""),
	 FREE, 0, 75, true, "http 429", 7},
	{"H30_date_behind",
	 says("429 Too Many Requests",
	      "Date: Tue, 22 Nov 2016 10:00:00 GMT\r\nRetry-After: Tue, 22 Nov 2016 10:00:07 GMT\r\n", ""),
	 FREE, 0, 75, true, "http 429", 7},
	{"H31_retry_after_ms", says("429 Too Many Requests", "retry-after-ms: 250\r\nRetry-After: 9\r\n", ""), FREE, 0,
	 75, true, "http 429", 0.25},
	{"H32_too_long", says("429 Too Many Requests", "Retry-After: 999999\r\n", ""), FREE, 75, 75, true, "http 429",
	 999999},
	{"H33_negative", says("429 Too Many Requests", "Retry-After: -5\r\n", ""), FREE, 0, 75, true, "http 429"},
	{"H33_garbage", says("429 Too Many Requests", "Retry-After: soon\r\n", ""), FREE, 0, 75, true, "http 429"},
	{"H33_overflow", says("429 Too Many Requests", "Retry-After: 1e309\r\n", ""), FREE, 0, 75, true, "http 429"},
	{"H33_twice", says("429 Too Many Requests", "Retry-After: 3\r\nRetry-After: 8\r\n", ""), FREE, 0, 75, true,
	 "http 429", 8},
	{"H34_reset_minutes", says("429 Too Many Requests", "x-ratelimit-reset-requests: 6m0s\r\n", ""), FREE, 0, 75,
	 true, "http 429", 360},
	{"H34_reset_milliseconds",
	 says("429 Too Many Requests",
	      "x-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 20ms\r\n"
	      "x-ratelimit-remaining-requests: 5\r\nx-ratelimit-reset-requests: 6m0s\r\n",
	      ""),
	 FREE, 0, 75, true, "http 429", 0.02},
	{"H36_503_retry_after", says("503 Service Unavailable", "Retry-After: 4\r\n", ""), FREE, 0, 69, true,
	 "http 503", 4},
	{"H37_503", says("503 Service Unavailable", "", "<html>"), FREE, 0, 69, true, "http 503"},
	{"H38_529", says("529 Overloaded", "", error_body("Overloaded", "\"overloaded_error\"", "null")), FREE, 0, 69,
	 true, "http 529"},
	{"H39_should_not_retry", says("429 Too Many Requests", "x-should-retry: false\r\n", ""), DENIED, 0, 75, false,
	 "http 429"},
	{"H40_413", says("413 Payload Too Large", "", ""), DENIED, 0, 65, false, "http 413"},
	{"H41_422", says("422 Unprocessable", "", "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"bad\"}]}"), DENIED, 0, 65,
	 false, "http 422"},
	{"H42_400", says("400 Bad Request", "", error_body("no", "\"invalid_request_error\"", "null")), DENIED, 0, 65,
	 false, "http 400"},
	{"H43_context_length",
	 says("400 Bad Request", "",
	      error_body("too long", "\"invalid_request_error\"", "\"context_length_exceeded\"")),
	 DENIED, 0, 65, false, "http 400"},
	{"H44_vllm_code",
	 says("400 Bad Request", "",
	      "{\"object\":\"error\",\"message\":\"bad\",\"type\":\"BadRequestError\",\"code\":400}"),
	 DENIED, 0, 65, false, "http 400"},
	{"H45_tgi", says("422 Unprocessable", "", "{\"error\":\"inputs\",\"error_type\":\"validation\"}"), DENIED, 0,
	 65, false, "http 422"},
	{"H46_404", says("404 Not Found", "", error_body("no model", "null", "\"model_not_found\"")), FREE, 78, 78,
	 true, "http 404"},
	{"H47_401", says("401 Unauthorized", "", error_body("bad key", "null", "\"invalid_api_key\"")), FREE, 77, 77,
	 true, "http 401"},
	{"H48_403", says("403 Forbidden", "", ""), FREE, 77, 77, true, "http 403"},
	{"H49_402", says("402 Payment Required", "", ""), FREE, 81, 81, true, "http 402"},
	{"H49_insufficient_quota",
	 says("429 Too Many Requests", "Retry-After: 1\r\n",
	      error_body("You exceeded your quota", "\"insufficient_quota\"", "null")),
	 FREE, 81, 81, true, "quota"},
	{"H49_credit_balance",
	 says("429 Too Many Requests", "", error_body("no credit", "\"billing\"", "\"credit_balance_exhausted\"")),
	 FREE, 81, 81, true, "quota"},
	{"H49_spend_limit",
	 says("429 Too Many Requests", "", error_body("limit", "null", "\"project_spend_limit_exceeded\"")), FREE, 81,
	 81, true, "quota"},
};

std::string twice(const std::string &choice)
{
	return "{\"model\":\"m\",\"choices\":[" + choice + "," + choice + "]}";
}

const std::string CHOICE = "{\"message\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}";

// D: success, but not an answer; and the harmless oddities.
const Case answer_cases[] = {
	{"H50_html", good("\n<!DOCTYPE html><html></html>"), BAD, 0, 65, false, "html"},
	{"H51_empty_body", good(""), BAD, 0, 65, false, "empty body"},
	{"H51_204", says("HTTP/1.1 204 No Content\r\n\r\n"), BAD, 0, 65, false, "empty body"},
	{"H52_bad_json", good("{\"choices\": [}"), BAD, 0, 65, false, "not json"},
	{"H53_cut_json", good(answer().substr(0, answer().size() - 9)), BAD, 0, 65, false, "not json"},
	{"H54_error_in_200", good(error_body("overloaded", "\"server_error\"", "500")), BAD, 0, 65, false,
	 "error body"},
	{"H55_no_choices", good("{\"model\":\"m\",\"choices\":[]}"), BAD, 0, 65, false, "no choice"},
	{"H56_content_null", content("null"), BAD, 0, 65, false, "no content"},
	{"H57_content_empty", content("\"\""), BAD, 0, 65, false, "empty content"},
	{"H57_content_blank", content("\" \\n\""), BAD, 0, 65, false, "empty content"},
	{"H58_length", good(answer("\"content\":\"long\"", "\"length\"")), BAD, 0, 65, false, "length"},
	{"H59_content_filter", good(answer("\"content\":\"x\"", "\"content_filter\"")), BAD, 0, 65, false,
	 "content filter"},
	{"H59_refusal", good(answer("\"content\":\"x\",\"refusal\":\"I cannot\"")), BAD, 0, 65, false, "refusal"},
	{"H60_tool_calls", good(answer("\"content\":null,\"tool_calls\":[{}]", "\"tool_calls\"")), BAD, 0, 65, false,
	 "tool calls"},
	{"H61_finish_unknown", good(answer("\"content\":\"x\"", "\"odd\"")), BAD, 0, 65, false, "finish reason"},
	{"H61_finish_missing", good("{\"choices\":[{\"message\":{\"content\":\"x\"}}]}"), BAD, 0, 65, false,
	 "finish reason"},
	{"H62_invalid_utf8", content("\"\xff\""), BAD, 0, 65, false, "not json"},
	{"H62_overlong_utf8", content("\"\xc0\xaf\""), BAD, 0, 65, false, "not json"},
	{"H62_surrogate", content("\"\xed\xa0\x80\""), BAD, 0, 65, false, "not json"},
	{"H63_nul", content("\"a\\u0000b\""), BAD, 0, 65, false, "control characters"},
	{"H63_escape", content("\"\\u001b[2J\""), BAD, 0, 65, false, "control characters"},
	{"H63_bidi", content("\"a\\u202eb\""), BAD, 0, 65, false, "control characters"},
	{"H64_duplicate_keys", content("\"a\",\"content\":\"b\""), BAD, 0, 65, false, "not json"},
	{"H65_no_usage", good(answer("\"content\":\"x\"", "\"stop\"", "")), FINE, 0, 0, false, ""},
	{"H66_two_choices", good(twice(CHOICE)), BAD, 0, 65, false, "several choices"},
	{"H68_deep", good(std::string(100000, '[')), BAD, 0, 65, false, "not json"},
	{"H69_overflow", good(answer("\"content\":\"x\"", "\"stop\"", ",\"a\":1e999")), BAD, 0, 65, false, "not json"},
	{"H69_nan", good(answer("\"content\":\"x\"", "\"stop\"", ",\"a\":NaN")), BAD, 0, 65, false, "not json"},
};

std::string many(size_t n, const std::string &line)
{
	std::string all;
	for (size_t i = 0; i < n; i++)
		all += line;
	return all;
}

const std::string EVENTS = "data: {\"choices\":[{\"delta\":{\"content\":\"y\"}}]}\n\n";

// E: hostile transport.
const Case hostile_cases[] = {
	{"H71_gzip_unasked",
	 says("200 OK", "Content-Encoding: gzip\r\n",
	      std::string("\x1f\x8b\x08\0\0\0\0\0\0\3", 10) + std::string(9999, 'x')),
	 BAD, 0, 65, false, "not json"},
	{"H72_over_the_cap", says("200 OK", "", std::string(300 << 10, 'x')), DOUBT, 0, 69, true, "too large"},
	{"H72_over_the_cap_chunked", says(CHUNKED + many(5, chunk(std::string(64 << 10, 'x')))), DOUBT, 0, 69, true,
	 "too large"},
	{"H73_ten_thousand_headers", says("200 OK", many(10000, "X-Filler: 12345678\r\n"), answer()), DOUBT, 0, 69,
	 true, "too large"},
	{"H73_header_of_a_megabyte", says("200 OK", "X-Filler: " + std::string(1 << 20, 'x') + "\r\n", answer()), DOUBT,
	 0, 69, true, "too large"},
	{"H74_flood_of_1xx", says(many(20000, "HTTP/1.1 102 Processing\r\n\r\n") + reply("200 OK", "", answer())),
	 DOUBT, 0, 69, true, "too large"},
	{"H74_one_100_is_good", says("HTTP/1.1 100 Continue\r\n\r\n" + reply("200 OK", "", answer())), FINE, 0, 0,
	 false, ""},
	{"H75_extra_bytes", says(reply("200 OK", "", answer()) + "HTTP/1.1 200 OK\r\n\r\nmore"), FINE, 0, 0, false, ""},
	{"H76_bad_chunk_size", says(CHUNKED + "zz\r\n" + answer() + "\r\n0\r\n\r\n"), DOUBT, 0, 69, true, "broken off"},
	{"H76_huge_chunk_size", says(CHUNKED + "ffffffffffffffffff\r\n" + answer()), DOUBT, 0, 69, true, "broken off"},
	{"H76_huge_chunk_extension",
	 says(CHUNKED + "5;" + std::string(1 << 20, 'e') + "\r\n     \r\n" + chunk(answer()) + "0\r\n\r\n"), FINE, 0, 0,
	 false, ""},
	{"H77_wrong_content_type", says("200 OK", "Content-Type: text/html\r\n", answer()), FINE, 0, 0, false, ""},
	{"H78_events_unasked",
	 says("200 OK", "Content-Type: text/event-stream\r\n", EVENTS + EVENTS + "data: [DONE]\n\n"), BAD, 0, 65, false,
	 "not json"},
	{"H78_events_without_done", says("200 OK", "Content-Type: text/event-stream\r\n", EVENTS), BAD, 0, 65, false,
	 "not json"},
	{"H78_error_event", says("200 OK", "", EVENTS + "data: {\"error\":{\"message\":\"x\"}}\n\n"), BAD, 0, 65, false,
	 "not json"},
	{"H78_split_inside_a_character",
	 [](Connection &c) {
		 c.read_request();
		 std::string body = answer("\"content\":\"gr\xc3\xbc\xc3\x9f\"");
		 size_t at = body.find('\xc3') + 1;
		 c.send(CHUNKED + chunk(body.substr(0, at)));
		 usleep(20 * 1000);
		 c.send(chunk(body.substr(at)) + "0\r\n\r\n");
	 },
	 FINE, 0, 0, false, ""},
	{"H80_two_lengths", says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n{\"a\":1}"), DOUBT,
	 0, 69, true, "not http"},
	{"H80_one_length_twice",
	 says("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(answer().size()) + "\r\n" +
	      reply("", "", answer()).substr(11)),
	 FINE, 0, 0, false, ""},
	{"other_4xx", says("418 I'm a teapot", "", ""), DOUBT, 0, 69, false, "http 418"},
	{"status_999", says("999 Denied", "", ""), DOUBT, 0, 76, true, "http 999"},
	{"http_0_9", says("hello"), DOUBT, 0, 69, true, "not http"},
};

class Matrix : public testing::TestWithParam<Case>
{
};

void expect_case(const Case &c, const Asked &asked, int receipts)
{
	ASSERT_EQ(asked.replies, 1);
	EXPECT_STREQ(teacher_state_name(asked.outcome.state), teacher_state_name(c.state)) << asked.exchange.detail;
	EXPECT_EQ(asked.outcome.stop, c.stop);
	EXPECT_EQ(asked.outcome.code, c.code);
	EXPECT_EQ(asked.outcome.retry, c.retry);
	EXPECT_STREQ(asked.outcome.reason, c.reason) << asked.exchange.detail;
	EXPECT_DOUBLE_EQ(asked.outcome.wait, c.wait);
	EXPECT_EQ(receipts, c.receipts);
	EXPECT_FALSE(shows_key(asked.everything()));
}

TEST_P(Matrix, StateCodeAndReceipts)
{
	const Case &c = GetParam();
	Mock mock(c.serve);
	Client client(mock.url());
	client.config.http.timeout = c.timeout;
	client.config.http.stall_time = c.stall_time;
	Asked asked = client.ask();
	expect_case(c, asked, mock.receipts);
	EXPECT_EQ(mock.connections, 1);
}

std::string case_name(const testing::TestParamInfo<Case> &info)
{
	return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Sent, Matrix, testing::ValuesIn(sent_cases), case_name);
INSTANTIATE_TEST_SUITE_P(Rejected, Matrix, testing::ValuesIn(rejected_cases), case_name);
INSTANTIATE_TEST_SUITE_P(Unusable, Matrix, testing::ValuesIn(answer_cases), case_name);
INSTANTIATE_TEST_SUITE_P(Hostile, Matrix, testing::ValuesIn(hostile_cases), case_name);

// A: provably unsent.

Case unsent(const char *reason, bool stop = false)
{
	return {"", nullptr, FREE, stop ? 76 : 0, stop ? 76 : 69, !stop, reason, NONE, 0};
}

TEST(Unsent, H01NoSuchName)
{
	Client client("https://nowhere.test/v1");
	expect_case(unsent("no address"), client.ask(), 0);
}

TEST(Unsent, H02SlowName)
{
	Client client("https://slow.test/v1");
	client.config.http.connect_timeout = 0.2;
	Asked asked = client.ask();
	EXPECT_EQ(asked.outcome.state, TEACHER_RELEASED);
	EXPECT_TRUE(asked.outcome.retry);
	EXPECT_EQ(asked.outcome.code, 69);
}

TEST(Unsent, H03Refused)
{
	std::string url;
	{
		Mock gone([](Connection &) {});
		url = gone.url();
	}
	Client client(url);
	expect_case(unsent("not connected"), client.ask(), 0);
}

TEST(Unsent, H04Unreachable)
{
	Client client("https://255.255.255.255/v1");
	expect_case(unsent("not connected"), client.ask(), 0);
}

// A listener whose queue is full answers nobody.
TEST(Unsent, H05ConnectTimeout)
{
	struct sockaddr_in at = {};
	socklen_t length = sizeof at;
	std::vector<int> sockets;
	at.sin_family = AF_INET;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_EQ(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
	ASSERT_EQ(listen(listener, 0), 0);
	ASSERT_EQ(getsockname(listener, (struct sockaddr *)&at, &length), 0);
	for (int i = 0; i < 4; i++) {
		sockets.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
		(void)connect(sockets.back(), (struct sockaddr *)&at, sizeof at);
	}
	Client client("http://127.0.0.1:" + std::to_string(ntohs(at.sin_port)) + "/v1");
	client.config.http.connect_timeout = 0.3;
	expect_case(unsent("timed out"), client.ask(), 0);
	for (int fd : sockets)
		close(fd);
	close(listener);
}

/* Some authority must be known before TLS begins, also on a machine without ca-certificates. */
static const std::string authority = std::string(getenv("TEST_SRCDIR") ? getenv("TEST_SRCDIR") : ".") + "/tests/authority.pem";

/* The first bytes of a handshake; anything else, a request in the clear, is a receipt. */
void read_hello(Connection &c)
{
	char bytes[4096];
	ssize_t n = c.wait_readable(2000) ? recv(c.fd, bytes, sizeof bytes, 0) : 0;
	if (n > 0 && bytes[0] != 22)
		c.mock.note(std::string(bytes, (size_t)n));
}

TEST(Unsent, H09TlsStall)
{
	Mock mock([](Connection &c) {
		read_hello(c);
		c.hang();
	});
	Client client(mock.url("https"));
	client.config.http.ca_file = authority.c_str();
	client.config.http.connect_timeout = 0.3;
	Asked asked = client.ask(); /* before the receipts are looked at */
	expect_case(unsent("timed out"), asked, mock.receipts);
}

TEST(Unsent, H10PlainHttpWhereTlsShouldBe)
{
	Mock mock([](Connection &c) {
		read_hello(c);
		c.send(reply("400 Bad Request", "", ""));
		c.hang();
	});
	Client client(mock.url("https"));
	client.config.http.ca_file = authority.c_str();
	Asked asked = client.ask(); /* before the receipts are looked at */
	expect_case(unsent("no tls", true), asked, mock.receipts);
}

TEST(Unsent, TlsHandshakeReset)
{
	Mock mock([](Connection &c) {
		read_hello(c);
		c.reset();
	});
	Client client(mock.url("https"));
	client.config.http.ca_file = authority.c_str();
	Asked asked = client.ask(); /* before the receipts are looked at */
	expect_case(unsent("broken off"), asked, mock.receipts);
}

// A variable of the environment, restored at the end.
struct Variable {
	std::string name, value;
	Variable(const char *name_, const std::string &value_) : name(name_), value(value_)
	{
		setenv(name_, value.c_str(), 1);
	}
	~Variable()
	{
		unsetenv(name.c_str());
	}
};

TEST(Unsent, H11ProxyWantsAuthentication)
{
	Mock proxy(says("407 Proxy Authentication Required", "", ""));
	Variable variable("https_proxy", "http://127.0.0.1:" + std::to_string(proxy.port));
	Client client("https://here.test/v1");
	Asked asked = client.ask();
	expect_case(unsent("not connected"), asked, 0);
	bool exceptions = true;
	EXPECT_EQ(teacher_openai_proxy(client.source, &exceptions), variable.value);
	EXPECT_FALSE(exceptions);
	ASSERT_EQ(proxy.requests().size(), 1u);
	EXPECT_EQ(proxy.requests()[0].substr(0, 8), "CONNECT ");
	EXPECT_FALSE(shows_key(proxy.requests()[0]));
}

TEST(Unsent, H11ProxyRefused)
{
	std::string url;
	{
		Mock gone([](Connection &) {});
		url = "http://127.0.0.1:" + std::to_string(gone.port);
	}
	Variable variable("https_proxy", url);
	Client client("https://here.test/v1");
	expect_case(unsent("not connected"), client.ask(), 0);
}

TEST(Unsent, NoProxyForThisMachine)
{
	Mock proxy(says("502 Bad Gateway", "", "")), mock(good(answer()));
	Variable variable("http_proxy", "http://127.0.0.1:" + std::to_string(proxy.port));
	Client client(mock.url());
	EXPECT_EQ(client.ask().outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(proxy.connections, 0);
	bool exceptions;
	EXPECT_EQ(teacher_openai_proxy(client.source, &exceptions), nullptr);
}

// libcurl judges exceptions by the variable, though the proxy is given to it.
TEST(Unsent, NoProxyForExceptions)
{
	Mock proxy(says("502 Bad Gateway", "", ""));
	Variable variable("https_proxy", "http://127.0.0.1:" + std::to_string(proxy.port));
	Variable none("no_proxy", "other.test,.nowhere.test");
	Client client("https://nowhere.test/v1");
	expect_case(unsent("no address"), client.ask(), 0);
	EXPECT_EQ(proxy.connections, 0);
	bool exceptions = false;
	EXPECT_NE(teacher_openai_proxy(client.source, &exceptions), nullptr);
	EXPECT_TRUE(exceptions);
}

// libcurl quotes a proxy that it cannot use, with its password.
TEST(Unsent, AProxyThatIsNone)
{
	for (const char *value : {"http://me:sesame@pro xy:3128", "gopher://me:sesame@here.test:9",
				  "http://me:sesame@here.test:99999"}) {
		SCOPED_TRACE(value);
		Variable variable("https_proxy", value);
		Client client("https://here.test/v1");
		Asked asked = client.ask();
		bool exceptions;
		EXPECT_EQ(asked.exchange.sent, 0u);
		EXPECT_NE(asked.exchange.curl, 0);
		EXPECT_EQ(strstr(asked.exchange.detail, "sesame"), nullptr) << asked.exchange.detail;
		EXPECT_EQ(strstr(teacher_openai_proxy(client.source, &exceptions), "sesame"), nullptr);
	}
}

TEST(Unsent, H12ResetBeforeTheBodyIsWritten)
{
	Mock mock([](Connection &c) {
		char bytes[1000];
		c.wait_readable(2000);
		(void)!recv(c.fd, bytes, sizeof bytes, 0);
		usleep(50 * 1000);
		c.reset();
	});
	Client client(mock.url());
	Asked asked = client.ask(std::string(32 << 20, 'x'));
	expect_case(unsent("broken off"), asked, mock.receipts);
	EXPECT_GT(asked.exchange.sent, 0u);
	EXPECT_LT(asked.exchange.sent, asked.exchange.to_send);
}

} // namespace

// libcurl's name look-ups come here.
extern "C" int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	return resolve(name, service, hints, out);
}

namespace
{

// One send is one request.

// A server that keeps the connection and drops the next request on it: libcurl would send that again.
TEST(Once, H13DroppedKeepAlive)
{
	Mock mock([](Connection &c) {
		while (c.read_request()) {
			if (c.mock.receipts == 2)
				return;
			c.send(reply("200 OK", "Connection: keep-alive\r\n", answer()));
		}
	});
	Client client(mock.url());
	EXPECT_EQ(client.ask().outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(client.ask().outcome.state, TEACHER_IN_DOUBT);
	EXPECT_EQ(client.ask().outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(mock.receipts, 3);
	EXPECT_EQ(mock.connections, 3);
}

TEST(Once, H20ClientKilled)
{
	std::atomic<int> gone{0};
	Mock mock([&gone](Connection &c) {
		if (c.read_request())
			c.hang();
		gone++;
	});
	pid_t child = fork();
	ASSERT_GE(child, 0);
	if (child == 0) {
		Client client(mock.url());
		client.ask();
		_exit(0);
	}
	for (int i = 0; i < 500 && mock.receipts == 0; i++)
		usleep(10 * 1000);
	kill(child, SIGKILL);
	waitpid(child, nullptr, 0);
	for (int i = 0; i < 500 && gone == 0; i++)
		usleep(10 * 1000);
	EXPECT_EQ(mock.receipts, 1);
	EXPECT_EQ(mock.connections, 1);
	EXPECT_EQ(gone, 1);
}

TEST(Once, H27OnlyHttp11IsOffered)
{
	Mock mock(good(answer()));
	Client client(mock.url());
	struct teacher_http_header extra[] = {{"X-Team", "blue"}};
	client.config.http.headers = extra;
	client.config.http.headers_n = 1;
	Asked asked = client.ask(REQUEST, "attempt-17");
	ASSERT_EQ(asked.outcome.state, TEACHER_ANSWERED);
	std::string got = mock.requests().at(0);
	EXPECT_EQ(got.substr(0, 40), "POST /v1/chat/completions HTTP/1.1\r\nHost");
	for (const char *line :
	     {"Upgrade", "HTTP2-Settings", "Accept-Encoding", "Expect", "Cookie", "Transfer-Encoding"})
		EXPECT_EQ(got.find(line), std::string::npos) << line;
	EXPECT_NE(got.find("\r\nAuthorization: Bearer " + std::string(CANARY) + "\r\n"), std::string::npos);
	EXPECT_NE(got.find("\r\nX-Client-Request-Id: attempt-17\r\n"), std::string::npos);
	EXPECT_NE(got.find("\r\nContent-Type: application/json\r\n"), std::string::npos);
	EXPECT_NE(got.find("\r\nX-Team: blue\r\n"), std::string::npos);
	EXPECT_EQ(got.substr(got.size() - REQUEST.size()), REQUEST);
}

TEST(Once, NoKeyNoAuthorization)
{
	Mock mock(good(answer()));
	Client client(mock.url());
	client.config.http.key = nullptr;
	EXPECT_EQ(client.ask().outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(mock.requests().at(0).find("Authorization"), std::string::npos);
}

TEST(Once, H79ServerClosesEachTime)
{
	Mock mock(says("200 OK", "Connection: close\r\n", answer()));
	Client client(mock.url());
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(client.ask().outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(mock.receipts, 5);
}

TEST(Once, H81DeadIpv6)
{
	Mock mock(good(answer()));
	Client client(mock.url("http", "localhost"));
	EXPECT_EQ(client.ask().outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(mock.receipts, 1);
}

// A hundred refusals: nothing is spent, and after ten minutes without progress the run ends.
TEST(Once, H35NothingButRefusals)
{
	Mock mock(says("429 Too Many Requests", "", ERROR_429));
	Client client(mock.url());
	struct teacher_stop stop;
	int code = 0, asked = 0;
	double now = 0;
	teacher_stop_init(&stop, 3000, 600, now);
	for (; asked < 100 && !code; asked++) {
		Asked reply = client.ask();
		ASSERT_EQ(reply.outcome.state, TEACHER_RELEASED);
		code = teacher_stop_note(&stop, &reply.outcome, now);
		now += teacher_retry_backoff((unsigned)asked, reply.outcome.wait, 0.5);
	}
	EXPECT_EQ(code, 75);
	EXPECT_LT(asked, 100);
	EXPECT_GT(now, 600);
	EXPECT_EQ(mock.receipts, asked);
}

struct Redirect {
	const char *status;
	bool elsewhere;
};

class Redirected : public testing::TestWithParam<Redirect>
{
};

TEST_P(Redirected, H70NeverFollowed)
{
	Mock other(good(answer()));
	std::string target;
	Mock mock([&target](Connection &c) {
		if (c.read_request())
			c.send(reply(GetParam().status, "Location: " + target + "\r\n", ""));
	});
	target = (GetParam().elsewhere ? other.url() : mock.url()) + "/moved";
	Client client(mock.url());
	Asked asked = client.ask();
	expect_case({"", nullptr, DOUBT, 76, 76, false, ("http " + std::string(GetParam().status, 3)).c_str()}, asked,
		    mock.receipts);
	EXPECT_EQ(mock.connections, 1);
	EXPECT_EQ(other.connections, 0);
}

INSTANTIATE_TEST_SUITE_P(H70, Redirected,
			 testing::Values(Redirect{"301 Moved", false}, Redirect{"302 Found", false},
					 Redirect{"303 See Other", false}, Redirect{"307 Temporary", false},
					 Redirect{"308 Permanent", false}, Redirect{"301 Moved", true},
					 Redirect{"302 Found", true}, Redirect{"303 See Other", true},
					 Redirect{"307 Temporary", true}, Redirect{"308 Permanent", true}));

// What an answer carries.

TEST(Answer, IsWhole)
{
	Mock mock(says("200 OK", "x-request-id: req-9\r\n", answer("\"content\":\"yes\\n<b>\"")));
	Client client(mock.url());
	Asked asked = client.ask();
	EXPECT_EQ(asked.outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(asked.content, "yes\n<b>");
	EXPECT_EQ(asked.finish_reason, "stop");
	EXPECT_EQ(asked.request_id, "req-9");
	EXPECT_TRUE(asked.usage.known);
	EXPECT_EQ(asked.usage.prompt_tokens, 7u);
	EXPECT_EQ(asked.usage.completion_tokens, 2u);
	EXPECT_EQ(asked.exchange.to_send, REQUEST.size());
	EXPECT_EQ(asked.exchange.sent, REQUEST.size());
}

struct UsageCase {
	const char *more;
	bool known, flagged;
};

TEST(Answer, H65Usage)
{
	const UsageCase cases[] = {
		{"", false, false},
		{",\"usage\":null", false, false},
		{",\"usage\":{\"prompt_tokens\":-4,\"completion_tokens\":2}", false, true},
		{",\"usage\":{\"prompt_tokens\":1000000000000000000000000000000,\"completion_tokens\":2}", false, true},
		{",\"usage\":{\"prompt_tokens\":1e30,\"completion_tokens\":2}", false, true},
		{",\"usage\":7", false, true},
		{",\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}", true, false},
	};
	for (const UsageCase &c : cases) {
		Mock mock(good(answer("\"content\":\"x\"", "\"stop\"", c.more)));
		Client client(mock.url());
		Asked asked = client.ask();
		EXPECT_EQ(asked.outcome.state, TEACHER_ANSWERED) << c.more;
		EXPECT_EQ(asked.usage.known, c.known) << c.more;
		EXPECT_EQ(asked.usage.flagged, c.flagged) << c.more;
	}
}

TEST(Answer, H67OtherModel)
{
	Mock mock(good(answer()));
	const struct {
		const char *asked;
		bool other;
	} cases[] = {{"m", false}, {"m2", true}, {nullptr, false}};
	for (const auto &c : cases) {
		Client client(mock.url());
		client.config.model = c.asked;
		Asked asked = client.ask();
		EXPECT_EQ(asked.outcome.state, TEACHER_ANSWERED);
		EXPECT_EQ(asked.other_model, c.other);
	}
}

TEST(Answer, H71TheBombStaysPacked)
{
	std::string bomb = std::string("\x1f\x8b\x08\0\0\0\0\0\0\3", 10) + std::string(500, '\0');
	Mock mock(says("200 OK", "Content-Encoding: gzip\r\n", bomb));
	Client client(mock.url());
	Asked asked = client.ask();
	EXPECT_EQ(asked.exchange.received, bomb.size());
	EXPECT_EQ(asked.raw.substr(asked.raw.size() - bomb.size()), bomb);
}

TEST(Answer, H72TheRealCap)
{
	Mock mock(says(CHUNKED + many(80, chunk(std::string(64 << 10, 'x')))));
	Client client(mock.url(), TEACHER_BODY_MAX);
	Asked asked = client.ask();
	EXPECT_EQ(asked.outcome.state, TEACHER_IN_DOUBT);
	EXPECT_STREQ(asked.outcome.reason, "too large");
	EXPECT_LE(client.slot.slot.body_n, client.slot.slot.body_room);
}

// The two changes that newer models ask for are made once and for all later requests.
TEST(Change, OnceForEachParameter)
{
	Mock mock([](Connection &c) {
		if (!c.read_request())
			return;
		if (c.request.find("\"max_tokens\"") != std::string::npos)
			c.send(reply(
				"400 Bad Request", "",
				error_body("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
					   "'max_completion_tokens' instead.",
					   "\"invalid_request_error\"", "\"unsupported_parameter\"",
					   "\"max_tokens\"")));
		else if (c.request.find("\"temperature\"") != std::string::npos)
			c.send(reply("400 Bad Request", "",
				     error_body("Unsupported value: 'temperature' does not support 0.",
						"\"invalid_request_error\"", "\"unsupported_value\"",
						"\"temperature\"")));
		else
			c.send(reply("200 OK", "", answer()));
	});
	Client client(mock.url());
	Asked first = client.ask(), second = client.ask(), third = client.ask(), fourth = client.ask();
	EXPECT_EQ(first.outcome.state, TEACHER_RELEASED);
	EXPECT_EQ(first.outcome.changes, (unsigned)TEACHER_RENAME_LIMIT);
	EXPECT_TRUE(first.outcome.retry);
	EXPECT_EQ(second.outcome.state, TEACHER_RELEASED);
	EXPECT_EQ(second.outcome.changes, (unsigned)TEACHER_DROP_TEMPERATURE);
	EXPECT_EQ(third.outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(third.changes, (unsigned)(TEACHER_RENAME_LIMIT | TEACHER_DROP_TEMPERATURE));
	EXPECT_EQ(fourth.outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(mock.receipts, 4);
	EXPECT_NE(mock.requests().at(3).find("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"why?\"}],"
					     "\"max_completion_tokens\":64,\"n\":1}"),
		  std::string::npos);
}

TEST(Change, NotTwice)
{
	Mock mock(says("400 Bad Request", "",
		       error_body("Unsupported", "null", "\"unsupported_parameter\"", "\"max_tokens\"")));
	Client client(mock.url());
	EXPECT_EQ(client.ask().outcome.state, TEACHER_RELEASED);
	EXPECT_EQ(client.ask().outcome.state, TEACHER_REJECTED);
}

// The key in whatever comes back.

TEST(Canary, EchoedEverywhere)
{
	std::string key = CANARY, part = key.substr(5, 12), escaped;
	for (size_t i = 0; i < key.size(); i++) {
		char code[8];
		snprintf(code, sizeof code, "\\u%04x", key[i]);
		escaped += i % 4 ? std::string(1, key[i]) : code;
	}
	const Script scripts[] = {
		says("401 Unauthorized", "x-request-id: " + key + "\r\n",
		     error_body("Incorrect API key provided: " + part, "\"" + key + "\"", "\"" + part + "\"")),
		says("200 OK", "X-Echo: " + key + "\r\n", answer("\"content\":\"Bearer " + key + "\"")),
		content("\"a " + escaped + " b\""),
		says("400 Bad Request", "", error_body(escaped, "\"" + escaped + "\"", "null")),
		says("500 Oops", "", "<p>" + key + key + part + "</p>"),
		says("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + key),
		good("not json " + key),
	};
	for (const Script &script : scripts) {
		Mock mock(script);
		Client client(mock.url());
		Asked asked = client.ask();
		ASSERT_EQ(asked.replies, 1);
		EXPECT_EQ(mock.receipts, 1);
		std::string out = asked.everything();
		if (asked.content.size()) {
			EXPECT_NE(asked.content.find("[key]"), std::string::npos);
			EXPECT_FALSE(shows_key(asked.content));
		} else {
			EXPECT_FALSE(shows_key(out)) << out;
		}
	}
	EXPECT_FALSE(shows_key(read_file("/proc/self/cmdline")));
}

// Many at once.

struct Crowd {
	int answered = 0, doubt = 0, released = 0;
	std::set<uint64_t> tags;
};

void count_reply(void *context, const struct teacher_reply *reply)
{
	Crowd *crowd = (Crowd *)context;
	crowd->tags.insert(reply->tag);
	crowd->answered += reply->outcome.state == TEACHER_ANSWERED;
	crowd->doubt += reply->outcome.state == TEACHER_IN_DOUBT;
	crowd->released += reply->outcome.state == TEACHER_RELEASED;
}

// Every question arrives once, whatever happens to it: good, dropped, cut, refused.
TEST(Crowd, OneReceiptEach)
{
	enum { N = 200, AT_ONCE = 16 };
	Mock mock([](Connection &c) {
		if (!c.read_request())
			return;
		size_t at = c.request.find("X-Client-Request-Id: ");
		int id = at == std::string::npos ? -1 : atoi(c.request.c_str() + at + 21);
		switch (id % 5) {
		case 0:
			return;
		case 1:
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{");
			return;
		case 2:
			c.send(reply("429 Too Many Requests", "", ""));
			return;
		default:
			c.send(reply("200 OK", "", answer()));
			c.hang();
		}
	});
	Client client(mock.url());
	client.config.http.max_concurrent = AT_ONCE;
	ASSERT_TRUE(client.open());
	std::vector<std::unique_ptr<Slot>> slots;
	std::vector<std::string> ids;
	for (int i = 0; i < N; i++) {
		slots.push_back(std::make_unique<Slot>(4096, 4096));
		ids.push_back(std::to_string(i));
	}
	Crowd crowd;
	int asked = 0;
	while ((int)crowd.tags.size() < N) {
		while (asked < N && asked - (int)crowd.tags.size() < AT_ONCE) {
			struct teacher_question q = {};
			q.tag = (uint64_t)asked;
			q.body = REQUEST.data();
			q.body_n = REQUEST.size();
			q.client_id = ids[(size_t)asked].c_str();
			q.slot = &slots[(size_t)asked]->slot;
			ASSERT_EQ(client.source->ask(client.source, &q, &client.err), 0) << client.err.message;
			asked++;
		}
		ASSERT_GE(client.source->poll(client.source, 5, count_reply, &crowd, &client.err), 1);
	}
	EXPECT_EQ(crowd.answered, 80);
	EXPECT_EQ(crowd.doubt, 80);
	EXPECT_EQ(crowd.released, 40);
	EXPECT_EQ(mock.receipts, N);
	EXPECT_EQ(mock.connections, N);
}

TEST(Crowd, NoMoreThanAgreed)
{
	Mock mock([](Connection &c) { c.hang(); });
	Client client(mock.url());
	ASSERT_TRUE(client.open());
	struct teacher_question q = {};
	q.body = REQUEST.data();
	q.body_n = REQUEST.size();
	q.slot = &client.slot.slot;
	EXPECT_EQ(client.source->ask(client.source, &q, &client.err), 0);
	EXPECT_EQ(client.source->ask(client.source, &q, &client.err), -1);
	EXPECT_EQ(client.err.code, ERR_INTERNAL);
}

// Where a question may go at all.

TEST(Address, Refused)
{
	const char *const urls[] = {"http://user@127.0.0.1/v1",
				    "https://user:secret@here.test/v1",
				    "http://here.test/v1",
				    "ftp://here.test/v1",
				    "file:///tmp/x",
				    "",
				    "here test",
				    "http://127.0.0.1.here.test/v1",
				    "http://localhost.here.test/"};
	for (const char *url : urls) {
		Client client(url);
		EXPECT_FALSE(client.open()) << url;
		EXPECT_EQ(client.err.code, ERR_CONFIG) << url << ": " << client.err.message;
		EXPECT_EQ(std::string(client.err.message).find("secret"), std::string::npos);
	}
}

TEST(Address, HttpElsewhereWhereAllowed)
{
	Mock mock(good(answer()));
	Client client(mock.url("http", "here.test"));
	client.config.http.allow_http = true;
	EXPECT_EQ(client.ask().outcome.state, TEACHER_ANSWERED);
}

TEST(Address, PathAndQueryAreKept)
{
	Mock mock(good(answer()));
	std::string base = "http://127.0.0.1:" + std::to_string(mock.port);
	const struct {
		std::string url, line;
	} cases[] = {
		{base, "POST /chat/completions HTTP"},
		{base + "/", "POST /chat/completions HTTP"},
		{base + "/a/v1//", "POST /a/v1/chat/completions HTTP"},
		{base + "/d?api-version=7#x", "POST /d/chat/completions?api-version=7 HTTP"},
	};
	for (const auto &c : cases) {
		Client client(c.url);
		EXPECT_EQ(client.ask().outcome.state, TEACHER_ANSWERED);
		EXPECT_EQ(mock.requests().back().substr(0, c.line.size()), c.line);
	}
}

TEST(Address, HeadersRefused)
{
	const struct teacher_http_header headers[] = {
		{"X A", "1"}, {"", "1"},          {"X-A", "1\r\nX-B: 2"}, {"Host", "x"}, {"content-length", "4"},
		{"X-A", ""},  {"X-A", "\xc3\xbc"}};
	for (const struct teacher_http_header &header : headers) {
		Client client("https://here.test/v1");
		client.config.http.headers = &header;
		client.config.http.headers_n = 1;
		EXPECT_FALSE(client.open()) << header.name;
		EXPECT_EQ(client.err.code, ERR_CONFIG);
	}
}

} // namespace
