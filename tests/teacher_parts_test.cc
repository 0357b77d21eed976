// SPDX-License-Identifier: Apache-2.0
// The teacher's pure parts, by tables: requests, answers, errors, waits,
// pacing, stop rules, addresses, and the key.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "src/teacher/pace.h"
#include "src/teacher/request.h"
#include "src/teacher/retry.h"
#include "src/teacher/stop.h"
#include "src/teacher/url.h"
#include "tests/teacher_mock.h"
#include "tests/temporary.h"

namespace
{

// Requests.

struct Extra {
	struct json *doc;
	explicit Extra(const std::string &text) : doc(json_parse(text.data(), text.size(), nullptr, nullptr))
	{
	}
	Extra(const Extra &) = delete;
	~Extra()
	{
		json_free(doc);
	}
};

std::string written(const struct teacher_request &request)
{
	struct json_writer w;
	struct err err = {};
	json_writer_init(&w, 0);
	teacher_request_write(&w, &request);
	const char *text = json_writer_text(&w, nullptr, &err);
	std::string out = text ? text : std::string("failed: ") + err.message;
	json_writer_release(&w);
	return out;
}

const struct teacher_message hello[] = {{"system", "Be brief.", 9}, {"user", "\"why\"\n<b>", 9}};
const std::string MESSAGES = "\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
			     "{\"role\":\"user\",\"content\":\"\\\"why\\\"\\n\\u003cb>\"}]";

TEST(Request, Bytes)
{
	Extra extra("{\"top_p\": 0.5, \"stop\": [\"x\"]}");
	struct teacher_request r = {};
	r.model = "m";
	r.messages = hello;
	r.n = 2;
	r.temperature = -1;
	EXPECT_EQ(written(r), "{\"model\":\"m\"," + MESSAGES + ",\"n\":1}");
	r.temperature = 0.9;
	r.max_tokens = 512;
	EXPECT_EQ(written(r), "{\"model\":\"m\"," + MESSAGES + ",\"temperature\":0.9,\"max_tokens\":512,\"n\":1}");
	r.max_completion = true;
	r.temperature = 0;
	r.extra = json_root(extra.doc);
	r.has_extra = true;
	EXPECT_EQ(written(r), "{\"model\":\"m\"," + MESSAGES +
				      ",\"temperature\":0,\"max_completion_tokens\":512,\"n\":1,\"top_p\":0.5,"
				      "\"stop\":[\"x\"]}");
	EXPECT_EQ(written(r), written(r));
}

TEST(Request, ExtraBody)
{
	const struct {
		const char *text;
		bool good;
	} cases[] = {
		{"{}", true},
		{"{\"seed\":4,\"top_p\":1}", true},
		{"{\"n\":2}", false},
		{"{\"stream\":true}", false},
		{"{\"model\":\"x\"}", false},
		{"{\"messages\":[]}", false},
		{"{\"temperature\":1}", false},
		{"{\"max_tokens\":1}", false},
		{"{\"max_completion_tokens\":1}", false},
		{"[]", false},
		{"3", false},
	};
	for (const auto &c : cases) {
		Extra extra(c.text);
		struct err err = {};
		EXPECT_EQ(teacher_request_check_extra(json_root(extra.doc), &err), c.good ? 0 : -1) << c.text;
		EXPECT_EQ(err.code, c.good ? 0 : ERR_CONFIG) << c.text;
	}
}

std::string changed(const std::string &body, unsigned changes)
{
	struct err err = {};
	size_t n = 0;
	char *text = teacher_request_change(body.data(), body.size(), changes, &n, &err);
	std::string out = text ? std::string(text, n) : "refused " + std::to_string(err.code);
	free(text);
	return out;
}

TEST(Request, Changes)
{
	const std::string body = "{\"model\":\"m\",\"temperature\":0.30,\"max_tokens\":5,\"n\":1}";
	EXPECT_EQ(changed(body, 0), body);
	EXPECT_EQ(changed(body, TEACHER_RENAME_LIMIT),
		  "{\"model\":\"m\",\"temperature\":0.30,\"max_completion_tokens\":5,\"n\":1}");
	EXPECT_EQ(changed(body, TEACHER_DROP_TEMPERATURE), "{\"model\":\"m\",\"max_tokens\":5,\"n\":1}");
	EXPECT_EQ(changed(body, TEACHER_RENAME_LIMIT | TEACHER_DROP_TEMPERATURE),
		  "{\"model\":\"m\",\"max_completion_tokens\":5,\"n\":1}");
	for (unsigned changes = 0; changes < 4; changes++)
		for (const char *other : {"{\"n\":1}", "{\"a\":{\"max_tokens\":5,\"temperature\":1},\"n\":1}",
					  "{\"a\":\",\\\"max_tokens\\\":5,\",\"n\":1}"})
			EXPECT_EQ(changed(other, changes), other);
	EXPECT_EQ(changed("{\"temperature\":1,\"n\":1}", 3), "{\"n\":1}");
	EXPECT_EQ(changed("{\"max_tokens\":1,\"n\":1}", 3), "{\"max_completion_tokens\":1,\"n\":1}");
	EXPECT_EQ(changed("{\"max_tokens\":1}", 3), "refused 65");
	EXPECT_EQ(changed("{\"temperature\":1}", 3), "refused 65");
	EXPECT_EQ(changed("{ \"temperature\" : 1, \"n\":1}", 3), "refused 65");
	EXPECT_EQ(changed("[]", 1), "refused 65");
	EXPECT_EQ(changed("{", 1), "refused 65");
}

TEST(Question, Hash)
{
	const std::string body = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"n\":1}",
			  other_model =
				  "{\"model\":\"k\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"n\":1}",
			  other_words =
				  "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"b\"}],\"n\":1}";
	struct teacher_question q = {};
	auto hash = [&q](const std::string &text) {
		char hex[HASH_HEX_ROOM] = "";
		struct err err = {};
		q.body = text.data();
		q.body_n = text.size();
		return teacher_question_hash(hex, &q, &err) ? std::string("refused") : std::string(hex);
	};
	q.kind = "annotate";
	q.id = "7";
	std::string first = hash(body);
	const std::string plain = "{\"kind\":\"annotate\",\"id\":\"7\",\"ordinal\":0,\"messages\":[{\"role\":\"user\","
				  "\"content\":\"a\"}]}";
	unsigned char digest[HASH_SIZE];
	char hex[HASH_HEX_ROOM];
	ASSERT_EQ(hash_bytes(digest, plain.data(), plain.size(), nullptr), 0);
	hash_hex(hex, digest);
	EXPECT_EQ(first, hex);
	EXPECT_EQ(hash(other_model), first);
	EXPECT_NE(hash(other_words), first);
	q.ordinal = 1;
	EXPECT_NE(hash(body), first);
	q.ordinal = 0;
	q.id = "8";
	EXPECT_NE(hash(body), first);
	EXPECT_EQ(hash("{}"), "refused");
	EXPECT_EQ(hash("x"), "refused");
}

// Answers.

struct Read {
	struct teacher_answer answer = {};
	int rc;
	explicit Read(const std::string &body, const char *model = nullptr, const struct teacher_key *key = nullptr)
	{
		struct err err = {};
		rc = teacher_answer_read(&answer, body.data(), body.size(), model, key, &err);
	}
	Read(const Read &) = delete;
	~Read()
	{
		teacher_answer_release(&answer);
	}
	std::string cause() const
	{
		return teacher_cause_name(answer.cause);
	}
};

TEST(Answer, Causes)
{
	const struct {
		std::string body;
		const char *cause;
	} cases[] = {
		{answer(), ""},
		{"  \n" + answer() + "\n", ""},
		{"\xEF\xBB\xBF" + answer(), ""},
		{"", "empty body"},
		{" \n\t", "empty body"},
		{"<html>", "html"},
		{"[]", "not json"},
		{"null", "not json"},
		{"\"text\"", "not json"},
		{answer() + "x", "not json"},
		{"{}", "no choice"},
		{"{\"choices\":null}", "no choice"},
		{"{\"choices\":{}}", "no choice"},
		{"{\"choices\":\"x\"}", "no choice"},
		{"{\"choices\":[3]}", "finish reason"},
		{"{\"choices\":[{\"message\":7,\"finish_reason\":\"stop\"}]}", "no content"},
		{"{\"choices\":[{\"finish_reason\":\"stop\"}]}", "no content"},
		{"{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":null}]}", "finish reason"},
		{"{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":5}]}", "finish reason"},
		{answer("\"content\":[{\"type\":\"text\",\"text\":\"x\"}]"), ""},
		{answer("\"content\":[{\"type\":\"thinking\",\"thinking\":[]},7,{\"type\":\"text\"}]"), "no content"},
		{answer("\"content\":[{\"type\":\"text\",\"text\":\"\"}]"), "empty content"},
		{answer("\"content\":[]"), "no content"},
		{answer("\"content\":7"), "no content"},
		{answer("\"content\":\"x\",\"refusal\":null"), ""},
		{answer("\"content\":\"x\",\"refusal\":\"\""), ""},
		{answer("\"content\":\"x\",\"tool_calls\":[]"), ""},
		{answer("\"content\":\"x\",\"tool_calls\":null"), ""},
		{answer("\"content\":\"x\",\"tool_calls\":[{}]"), "tool calls"},
		{answer("\"content\":\"x\",\"function_call\":{}"), "tool calls"},
		{answer("\"content\":\"x\"", "\"function_call\""), "tool calls"},
		{answer("\"content\":\"\"", "\"length\""), "length"},
		{answer("\"content\":\"x\"", "\"max_tokens\""), "length"},
		{answer("\"content\":\"x\"", "\"model_length\""), "length"},
		{answer("\"content\":\"x\"", "\"eos\""), ""},
		{answer("\"content\":\"x\"", "\"eos_token\""), ""},
		{answer("\"content\":\"x\"", "\"end_turn\""), ""},
		{answer("\"content\":\"x\"", "\"ended\""), "finish reason"},
		{answer("\"content\":\"<think>so\""), "empty content"},
		{answer("\"content\":\"\\n<think>so</think>\\n\""), "empty content"},
		{answer("\"content\":\"\\ttab\\r\\nline \\u00fc \\ud83d\\ude00\""), ""},
		{answer("\"content\":\"\\u0007\""), "control characters"},
		{answer("\"content\":\"\\u007f\""), "control characters"},
		{answer("\"content\":\"\\u0085\""), "control characters"},
		{answer("\"content\":\"\\u2066x\""), "control characters"},
		{answer("\"content\":\"\\u200f\""), ""},
		{answer("\"content\":\"x\"", "\"stop\"", ",\"error\":null"), ""},
		{answer("\"content\":\"x\"", "\"stop\"", ",\"error\":\"\""), ""},
		{answer("\"content\":\"x\"", "\"stop\"", ",\"error\":false"), ""},
		{answer("\"content\":\"x\"", "\"stop\"", ",\"error\":true"), "error body"},
		{answer("\"content\":\"x\"", "\"stop\"", ",\"error\":{}"), "error body"},
		{answer("\"content\":\"x\"", "\"stop\"", ",\"error\":{\"message\":\"m\"}"), "error body"},
		{answer("\"content\":\"x\"", "\"stop\"",
			",\"choices.0.finish_reason\":\"length\",\"choices\\u0000\":1"),
		 "not json"},
		{answer("\"content\":\"x\"", "\"stop\"", ",\"choices.0.finish_reason\":\"length\""), ""},
		{answer("\"content\":\"x\"", "\"stop\"",
			",\"" + std::string(500, 'k') + "\":{\"model\":{\"error\":1}}"),
		 ""},
		{answer("\"content\":\"x\"", "\"stop\"", ",\"created\":99999999999999999999999"), ""},
	};
	for (const auto &c : cases) {
		Read read(c.body);
		EXPECT_EQ(read.rc, 0);
		EXPECT_EQ(read.cause(), c.cause) << c.body;
	}
}

TEST(Answer, ContentIsKeptThoughUnusable)
{
	Read read(answer("\"content\":\"half an\"", "\"length\""));
	ASSERT_NE(read.answer.content, nullptr);
	EXPECT_STREQ(read.answer.content, "half an");
	EXPECT_STREQ(read.answer.finish_reason, "length");
	EXPECT_TRUE(read.answer.usage.known);
}

TEST(Answer, ThinkingIsLeftOut)
{
	const struct {
		const char *content, *left;
	} cases[] = {
		{"<think>a draft</think>\\n\\nThe answer is 7.", "The answer is 7."},
		{" \\n<think>\\n</think>x</think>", "x</think>"},
		{"a draft\\n</think>\\nx\\n", "x\n"},
		{"x <think>y</think>", "x <think>y</think>"},
		{"x <think>y", "x <think>y"},
		{"<thinking>x", "<thinking>x"},
	};
	for (const auto &c : cases) {
		Read read(answer(std::string("\"content\":\"") + c.content + "\""));
		ASSERT_NE(read.answer.content, nullptr);
		EXPECT_EQ(std::string(read.answer.content, read.answer.n), c.left);
		EXPECT_EQ(read.answer.content[read.answer.n], '\0');
		EXPECT_EQ(read.answer.cause, TEACHER_USABLE);
	}
}

TEST(Answer, ModelNames)
{
	const struct {
		const char *asked, *got;
		bool other;
	} cases[] = {{"gpt-x", "gpt-x", false},
		     {"gpt-x", "gpt-x-2026-01-01", false},
		     {"gpt-x", "gpt-xy", true},
		     {"gpt-x", "gpt", true},
		     {"gpt-x", "", false}};
	for (const auto &c : cases) {
		Read read(std::string("{\"model\":\"") + c.got + "\",\"choices\":[]}", c.asked);
		EXPECT_EQ(read.answer.other_model, c.other) << c.got;
		EXPECT_STREQ(read.answer.model, c.got);
	}
}

TEST(Answer, UsageDetails)
{
	Read read(answer("\"content\":\"x\"", "\"stop\"",
			 ",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":20,\"prompt_tokens_details\":{"
			 "\"cached_tokens\":4},\"completion_tokens_details\":{\"reasoning_tokens\":15},\"cost\":0.1}"));
	EXPECT_TRUE(read.answer.usage.known);
	EXPECT_EQ(read.answer.usage.total_tokens, 30u);
	EXPECT_EQ(read.answer.usage.cached_tokens, 4u);
	EXPECT_EQ(read.answer.usage.reasoning_tokens, 15u);
	Read apart(answer("\"content\":\"x\"", "\"stop\"",
			  ",\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":50,\"total_tokens\":2150}"));
	EXPECT_EQ(apart.answer.usage.completion_tokens, 2050u) << "thinking that is told apart is paid for as well";
	Read less(answer("\"content\":\"x\"", "\"stop\"",
			 ",\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":50,\"total_tokens\":120}"));
	EXPECT_EQ(less.answer.usage.completion_tokens, 50u);
	Read wrong(answer("\"content\":\"x\"", "\"stop\"", ",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1000000000000}"));
	EXPECT_FALSE(wrong.answer.usage.known) << "more than any model writes";
	EXPECT_TRUE(wrong.answer.usage.flagged);
}

// No beginning of a good answer, and no answer with one byte changed, does harm.
TEST(Answer, EveryCutAndEveryByte)
{
	const std::string body = answer();
	for (size_t n = 0; n < body.size(); n++) {
		Read read(body.substr(0, n));
		EXPECT_EQ(read.rc, 0);
		EXPECT_NE(read.cause(), "") << n;
	}
	for (size_t at = 0; at < body.size(); at++)
		for (int change : {1, 2, 4, 8, 16, 32, 64, 128}) {
			std::string other = body;
			other[at] = (char)(other[at] ^ change);
			Read read(other);
			EXPECT_EQ(read.rc, 0);
			struct teacher_error error;
			teacher_error_read(&error, other.data(), other.size(), nullptr);
		}
}

TEST(Error, Shapes)
{
	const struct {
		const char *body;
		bool found;
		const char *message, *type, *code, *param;
	} cases[] = {
		{"{\"error\":{\"message\":\"a\",\"type\":\"b\",\"param\":\"c\",\"code\":\"d\"}}", true, "a (c)", "b", "d",
		 "c"},
		{"{\"error\":{\"message\":\"a\",\"type\":null,\"param\":null,\"code\":400}}", true, "a", "", "400", ""},
		{"{\"object\":\"error\",\"message\":\"a\",\"type\":\"T\",\"param\":null,\"code\":40303}", true, "a",
		 "T", "40303", ""},
		{"{\"error\":\"a\",\"error_type\":\"validation\"}", true, "a", "validation", "", ""},
		{"{\"error\":\"a\"}", true, "a", "", "", ""},
		{"\"a\"", true, "a", "", "", ""},
		{"{\"detail\":\"Not Found\"}", true, "Not Found", "", "", ""},
		{"{\"detail\":[{\"loc\":[\"body\",\"n\"],\"msg\":\"a\",\"type\":\"value_error\"}]}", true, "a (n)",
		 "value_error", "", "n"},
		{"{\"message\":{\"detail\":[{\"type\":\"t\",\"loc\":[\"body\",\"n\"],\"msg\":\"a\"}]},\"type\":\"u\"}", true,
		 "a (n)", "t", "", "n"},
		{"{\"message\":\"a\"}", true, "a", "", "", ""},
		{"[{\"error\":{\"code\":429,\"message\":\"a\",\"status\":\"X\"}}]", true, "a", "", "429", ""},
		{"{\"error\":{\"code\":\"x\"}}", true, "{\"error\":{\"code\":\"x\"}}", "", "x", ""},
		{"{\"error\":{}}", false, "{\"error\":{}}", "", "", ""},
		{"{}", false, "{}", "", "", ""},
		{"[]", false, "[]", "", "", ""},
		{"", false, "", "", "", ""},
		{"<html>\x1b[2J</html>", false, "<html>\\x1B[2J</html>", "", "", ""},
		{"{\"error\":{\"message\":\"a\\u001b[2J\"}}", true, "a\\x1B[2J", "", "", ""},
	};
	for (const auto &c : cases) {
		struct teacher_error e;
		teacher_error_read(&e, c.body, strlen(c.body), nullptr);
		EXPECT_EQ(e.found, c.found) << c.body;
		EXPECT_STRCASEEQ(e.message, c.message) << c.body;
		EXPECT_STREQ(e.type, c.type) << c.body;
		EXPECT_STREQ(e.code, c.code) << c.body;
		EXPECT_STREQ(e.param, c.param) << c.body;
	}
}

TEST(Error, LongBodyIsCutAndTheKeyWithIt)
{
	Key key;
	for (size_t before : {380, 390, 395, 399, 400, 401}) {
		std::string body = std::string(before, '.') + key.text + std::string(9000, 'x');
		struct teacher_error e;
		teacher_error_read(&e, body.data(), body.size(), &key.key);
		EXPECT_LE(strlen(e.message), 404u);
		EXPECT_FALSE(shows_key(e.message));
		EXPECT_EQ(std::string(e.message).find("sk-"), std::string::npos) << before;
	}
}

// Waits.

double number(const std::string &s)
{
	return teacher_retry_number(s.data(), s.size(), 1);
}

TEST(Retry, Numbers)
{
	const struct {
		const char *text;
		double seconds;
	} cases[] = {{"0", 0},       {"2", 2},           {" 2\t", 2},
		     {"0.5", 0.5},   {"120", 120},       {"00012", 12},
		     {"2.25", 2.25}, {"999999", 999999}, {"99999999999999999999", TEACHER_LONGEST_WAIT},
		     {"-1", -1},     {"+1", -1},         {"", -1},
		     {" ", -1},      {"1e3", -1},        {"1e309", -1},
		     {"inf", -1},    {"nan", -1},        {"0x10", -1},
		     {"2s", -1},     {".5", -1},         {"1.", -1},
		     {"1.2.3", -1},  {"2 3", -1},        {"soon", -1}};
	for (const auto &c : cases)
		EXPECT_DOUBLE_EQ(number(c.text), c.seconds) << c.text;
	EXPECT_DOUBLE_EQ(number(std::string(4000, '9')), TEACHER_NO_WAIT);
	EXPECT_DOUBLE_EQ(number(std::string("2\0", 2)), TEACHER_NO_WAIT);
	EXPECT_DOUBLE_EQ(teacher_retry_number("250", 3, 0.001), 0.25);
}

TEST(Retry, Durations)
{
	const struct {
		const char *text;
		double seconds;
	} cases[] = {{"6m0s", 360},
		     {"20ms", 0.02},
		     {"1s", 1},
		     {"1.5s", 1.5},
		     {"1h2m3s", 3723},
		     {"2d", 172800},
		     {"7", 7},
		     {"0", 0},
		     {"12ms", 0.012},
		     {"1m30.5s", 90.5},
		     {"500us", 0.0005},
		     {"-1", -1},
		     {"", -1},
		     {"m", -1},
		     {"5x", -1},
		     {"5m x", -1},
		     {"5m-3s", -1},
		     {"1e9s", -1},
		     {"99999999999d", TEACHER_LONGEST_WAIT}};
	for (const auto &c : cases)
		EXPECT_DOUBLE_EQ(teacher_retry_duration(c.text, strlen(c.text)), c.seconds) << c.text;
}

TEST(Retry, Dates)
{
	const struct {
		const char *text;
		double date;
	} cases[] = {{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
		     {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
		     {"Sun Nov  6 08:49:37 1994", 784111777},
		     {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		     {"Sat, 01 Jan 2000 00:00:00 GMT", 946684800},
		     {"Saturday, 01-Jan-00 00:00:00 GMT", 946684800},
		     {"Sun, 06 Nov 1994 08:49:37 CET", -1},
		     {"Sun, 06 Nov 1994 08:49:37", -1},
		     {"Sun, 06 Nox 1994 08:49:37 GMT", -1},
		     {"Sun, 06 ovD 1994 08:49:37 GMT", -1},
		     {"Sun, 32 Nov 1994 08:49:37 GMT", -1},
		     {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
		     {"Sun, 06 Nov 1994 08:60:37 GMT", -1},
		     {"Sun, 06 Nov 1994 08:49:37 GMT x", -1},
		     {"Sun, -6 Nov 1994 08:49:37 GMT", -1},
		     {"", -1},
		     {"Sun", -1},
		     {"1994", -1}};
	for (const auto &c : cases)
		EXPECT_DOUBLE_EQ(teacher_retry_date(c.text, strlen(c.text)), c.date) << c.text;
	const char *date = "Sun, 06 Nov 1994 08:49:37 GMT";
	EXPECT_DOUBLE_EQ(teacher_retry_after(date, strlen(date), 784111770), 7);
	EXPECT_DOUBLE_EQ(teacher_retry_after(date, strlen(date), 784111780), 0);
	EXPECT_DOUBLE_EQ(teacher_retry_after("4", 1, 784111780), 4);
	EXPECT_DOUBLE_EQ(teacher_retry_after("x", 1, 0), TEACHER_NO_WAIT);
}

TEST(Retry, Backoff)
{
	const double spans[] = {0.5, 1, 2, 4, 8, 16, 32, 60, 60};
	for (unsigned i = 0; i < 9; i++) {
		EXPECT_DOUBLE_EQ(teacher_retry_backoff(i, TEACHER_NO_WAIT, 0), 0);
		EXPECT_DOUBLE_EQ(teacher_retry_backoff(i, TEACHER_NO_WAIT, 0.5), spans[i] / 2);
		EXPECT_LT(teacher_retry_backoff(i, TEACHER_NO_WAIT, 0.999), spans[i]);
		EXPECT_DOUBLE_EQ(teacher_retry_backoff(i, 3, 0), 3);
		EXPECT_DOUBLE_EQ(teacher_retry_backoff(i, 3, 0.5), std::max(3.0, spans[i] / 2));
	}
	EXPECT_DOUBLE_EQ(teacher_retry_backoff(4000000000u, TEACHER_NO_WAIT, 0.5), 30);
}

TEST(Headers, Waits)
{
	const struct {
		const char *head;
		double wait;
	} cases[] = {
		{"", -1},
		{"HTTP/1.1 429 x\r\n\r\n", -1},
		{"HTTP/1.1 429 x\r\nretry-after:2\r\n\r\n", 2},
		{"HTTP/1.1 429 x\r\nRETRY-AFTER:   2  \r\n\r\n", 2},
		{"HTTP/1.1 429 x\r\nRetry-After : 2\r\n\r\n", -1},
		{"HTTP/1.1 429 x\nRetry-After: 2\n\n", 2},
		{"HTTP/1.1 429 x\r\nRetry-After: 2", 2},
		{"HTTP/1.1 103 x\r\nRetry-After: 9\r\n\r\nHTTP/1.1 429 x\r\n\r\n", -1},
		{"HTTP/1.1 429 x\r\nRetry-After: 2\r\nRetry-After: 1\r\n\r\n", 2},
		{"HTTP/1.1 429 x\r\nRetry-After: Thu, 01 Jan 1970 00:16:45 GMT\r\n\r\n", 5},
		{"HTTP/1.1 429 x\r\nRetry-After: Thu, 01 Jan 1970 00:16:45 GMT\r\nDate: Thu, 01 Jan 1970 00:16:35 "
		 "GMT\r\n",
		 10},
		{"HTTP/1.1 429 x\r\nDate: nonsense\r\nRetry-After: Thu, 01 Jan 1970 00:16:45 GMT\r\n", 5},
		{"HTTP/1.1 429 x\r\nretry-after-ms: 10\r\nx-ratelimit-reset-requests: 8s\r\n", 0.01},
		{"HTTP/1.1 429 x\r\nretry-after-ms: x\r\nx-ratelimit-reset-requests: 8s\r\n", 8},
		{"HTTP/1.1 429 x\r\nx-ratelimit-reset-requests: 8s\r\nx-ratelimit-reset-tokens: 9s\r\n", 9},
		{"HTTP/1.1 429 x\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 8s\r\n"
		 "x-ratelimit-reset-tokens: 9s\r\n",
		 8},
		{"HTTP/1.1 503 x\r\nx-ratelimit-remaining-requests: 187\r\nx-ratelimit-reset-requests: 1h33m36s\r\n", -1},
		{"HTTP/1.1 429 x\r\nx-ratelimit-remaining-requests: 187\r\nx-ratelimit-reset-requests: 1h33m36s\r\n"
		 "x-ratelimit-reset-tokens: 9s\r\n",
		 9},
		{"HTTP/1.1 429 x\r\nx-ratelimit-reset-requests: -1\r\n", -1},
	};
	for (const auto &c : cases) {
		struct teacher_headers h;
		teacher_headers_read(&h, c.head, strlen(c.head), 1000, nullptr);
		EXPECT_DOUBLE_EQ(h.wait, c.wait) << c.head;
	}
}

TEST(Headers, RequestIdIsShownSafely)
{
	Key key;
	struct teacher_headers h;
	std::string head = "HTTP/1.1 200 OK\r\nx-request-id: a\x1b[2J" + key.text + "\r\nx-should-retry: False\r\n\r\n";
	teacher_headers_read(&h, head.data(), head.size(), 0, &key.key);
	EXPECT_STREQ(h.request_id, "a\\x1B[2J[key]");
	EXPECT_TRUE(h.never_retry);
}

// Outcomes that a server cannot be made to show.

struct teacher_outcome decided(enum teacher_transport transport, uint64_t to_send, uint64_t sent, int status = 0)
{
	struct teacher_outcome o;
	struct teacher_exchange x = {};
	struct teacher_facts f = {};
	x.transport = transport;
	x.to_send = to_send;
	x.sent = sent;
	x.status = status;
	f.max_wait = 600;
	teacher_outcome_decide(&o, &x, &f);
	return o;
}

TEST(Outcome, OnlyProofReleases)
{
	for (int t = TEACHER_REPLIED + 1; t < TEACHER_TRANSPORTS; t++) {
		auto transport = (enum teacher_transport)t;
		EXPECT_EQ(decided(transport, 100, 0).state, TEACHER_RELEASED) << t;
		EXPECT_EQ(decided(transport, 100, 99).state, TEACHER_RELEASED) << t;
		EXPECT_EQ(decided(transport, 100, 100).state, TEACHER_IN_DOUBT) << t;
		EXPECT_EQ(decided(transport, 100, 100, 200).state, TEACHER_IN_DOUBT) << t;
		EXPECT_EQ(decided(transport, 100, 100, 429).state, TEACHER_IN_DOUBT) << t;
		EXPECT_NE(decided(transport, 100, 0).code, 0) << t;
		EXPECT_STRNE(decided(transport, 100, 0).reason, "") << t;
	}
}

TEST(Outcome, EveryStatus)
{
	const int unpaid[] = {400, 401, 402, 403, 404, 405, 407, 410, 411, 413, 414,
			      415, 421, 422, 426, 429, 431, 451, 503, 529};
	for (int status = -1; status <= 1200; status++) {
		struct teacher_outcome o = decided(TEACHER_REPLIED, 100, 100, status);
		bool free = std::find(std::begin(unpaid), std::end(unpaid), status) != std::end(unpaid);
		EXPECT_EQ(o.state == TEACHER_RELEASED || o.state == TEACHER_REJECTED, free) << status;
		if (!free) {
			EXPECT_EQ(o.state, TEACHER_IN_DOUBT) << status;
		}
		EXPECT_NE(o.code, 0) << status;
	}
}

/* Headers speak to refusals: "do not retry" behind a wrong key rejects no query, and no doubt waits or ends a run. */
TEST(Outcome, HeadersAreHeededWithRefusals)
{
	struct teacher_headers headers = {};
	struct teacher_facts f = {};
	struct teacher_exchange x = {};
	struct teacher_outcome o;
	headers.wait = 9999, headers.never_retry = true;
	f.headers = &headers, f.max_wait = 600;
	x.transport = TEACHER_REPLIED, x.to_send = x.sent = 100;
	for (int status : {401, 402, 404, 503}) {
		x.status = status;
		teacher_outcome_decide(&o, &x, &f);
		EXPECT_EQ(o.state, TEACHER_RELEASED) << status;
		EXPECT_NE(o.stop, 0) << status;
	}
	for (int status : {408, 500, 502}) {
		x.status = status;
		teacher_outcome_decide(&o, &x, &f);
		EXPECT_EQ(o.state, TEACHER_IN_DOUBT) << status;
		EXPECT_EQ(o.stop, 0) << status;
		EXPECT_LT(o.wait, 0) << status;
	}
}

struct ChangeCase {
	int status;
	const char *message, *type, *code, *param;
	unsigned changes;
};

TEST(Outcome, ChangesAreRecognised)
{
	const ChangeCase cases[] = {
		{400, "", "", "unsupported_parameter", "max_tokens", TEACHER_RENAME_LIMIT},
		{400, "", "", "unsupported_value", "temperature", TEACHER_DROP_TEMPERATURE},
		{400, "Unsupported parameter: 'max_tokens' is not supported with this model.", "", "", "",
		 TEACHER_RENAME_LIMIT},
		{400, "'temperature' does not support 0.2 with this model.", "", "", "", TEACHER_DROP_TEMPERATURE},
		{400, "", "", "unsupported_parameter", "seed", 0},
		{400, "'max_tokens' is unsupported", "", "unsupported_parameter", "top_p", 0},
		{400, "'max_tokens' is too large", "", "invalid_value", "max_tokens", 0},
		{422, "", "", "unsupported_parameter", "max_tokens", TEACHER_RENAME_LIMIT},
		{413, "", "", "unsupported_parameter", "max_tokens", 0},
		{400, "`temperature` is deprecated for this model.", "", "", "", TEACHER_DROP_TEMPERATURE},
		{400, "gpt-5 models don't support temperature=0. Only temperature=1 is supported.", "", "", "",
		 TEACHER_DROP_TEMPERATURE},
		{400, "top_p is deprecated for this model.", "", "", "", 0},
		{400, "", "", "", "", 0},
	};
	for (const ChangeCase &c : cases) {
		struct teacher_outcome o;
		struct teacher_exchange x = {};
		struct teacher_error e = {};
		struct teacher_facts f = {};
		snprintf(e.message, sizeof e.message, "%s", c.message);
		snprintf(e.code, sizeof e.code, "%s", c.code);
		snprintf(e.param, sizeof e.param, "%s", c.param);
		x.status = c.status;
		f.error = &e;
		teacher_outcome_decide(&o, &x, &f);
		EXPECT_EQ(o.changes, c.changes) << c.message << c.code << c.param;
		EXPECT_EQ(o.state, c.changes ? TEACHER_RELEASED : TEACHER_REJECTED);
		f.changes = c.changes;
		teacher_outcome_decide(&o, &x, &f);
		EXPECT_EQ(o.changes, 0u);
		EXPECT_EQ(o.state, TEACHER_REJECTED);
	}
}

TEST(Outcome, QuotaIsNotPace)
{
	const struct {
		int status;
		const char *type, *code;
		int stop;
		const char *message = "";
	} cases[] = {
		{400, "invalid_request_error", "", 81, "Your credit balance is too low to access the API."},
		{403, "", "", 81, "Your team doesn't have any credits yet."},
		{429, "exceeded_current_quota_error", "", 81},
		{429, "insufficient_quota", "", 81},
		{429, "", "insufficient_quota", 81},
		{429, "", "credit_balance_exhausted", 81},
		{429, "", "org_spend_limit_exceeded", 81},
		{403, "", "insufficient_quota", 81},
		{400, "", "billing_hard_limit_reached", 81},
		{402, "", "", 81},
		{429, "", "rate_limit_exceeded", 0},
		{429, "", "slow_down", 0},
		{429, "", "server_is_overloaded", 0},
		{429, "requests", "", 0},
		{403, "", "", 77},
		{503, "", "insufficient_quota", 0},
	};
	for (const auto &c : cases) {
		struct teacher_outcome o;
		struct teacher_exchange x = {};
		struct teacher_error e = {};
		struct teacher_facts f = {};
		snprintf(e.type, sizeof e.type, "%s", c.type);
		snprintf(e.code, sizeof e.code, "%s", c.code);
		snprintf(e.message, sizeof e.message, "%s", c.message);
		x.status = c.status;
		f.error = &e;
		teacher_outcome_decide(&o, &x, &f);
		EXPECT_EQ(o.stop, c.stop) << c.status << c.type << c.code;
		EXPECT_EQ(o.state, TEACHER_RELEASED);
	}
}

// A server that passes on another's refusal may have answered 200 by then: its word counts, the unit stays spent.
TEST(Outcome, RefusalInsideAReplyOfSuccess)
{
	const struct {
		const char *code;
		bool usage;
		enum teacher_state state;
		int stop;
		bool retry, slow;
	} cases[] = {
		{"402", false, TEACHER_IN_DOUBT, 81, true, false},
		{"401", false, TEACHER_IN_DOUBT, 77, true, false},
		{"429", false, TEACHER_IN_DOUBT, 0, true, true},
		{"404", false, TEACHER_IN_DOUBT, 78, true, false},
		{"403", false, TEACHER_UNUSABLE, 0, false, false},
		{"502", false, TEACHER_UNUSABLE, 0, false, false},
		{"400", false, TEACHER_UNUSABLE, 0, false, false},
		{"429", true, TEACHER_UNUSABLE, 0, false, false},
		{"200", false, TEACHER_UNUSABLE, 0, false, false},
		{"4290", false, TEACHER_UNUSABLE, 0, false, false},
		{"server_error", false, TEACHER_UNUSABLE, 0, false, false},
		{"", false, TEACHER_UNUSABLE, 0, false, false},
	};
	for (const auto &c : cases) {
		struct teacher_outcome o;
		struct teacher_exchange x = {};
		struct teacher_error e = {};
		struct teacher_answer a = {};
		struct teacher_facts f = {};
		snprintf(e.code, sizeof e.code, "%s", c.code);
		x.status = 200;
		a.cause = TEACHER_ERROR_BODY;
		a.usage.known = c.usage;
		f.error = &e;
		f.answer = &a;
		f.max_wait = 600;
		teacher_outcome_decide(&o, &x, &f);
		EXPECT_EQ(o.state, c.state) << c.code;
		EXPECT_EQ(o.stop, c.stop) << c.code;
		EXPECT_EQ(o.retry, c.retry) << c.code;
		EXPECT_EQ(o.slow_down, c.slow) << c.code;
		EXPECT_EQ(o.page, !*c.code) << c.code;
	}
}

// When many outcomes end the run.

struct teacher_outcome plain(enum teacher_state state, int code = 0, bool page = false)
{
	struct teacher_outcome o = {};
	o.state = state;
	o.code = code;
	o.page = page;
	return o;
}

struct Stopper {
	struct teacher_stop stop;
	double now = 0;
	explicit Stopper(uint64_t budget)
	{
		teacher_stop_init(&stop, budget, 600, 0);
	}
	int note(const struct teacher_outcome &o)
	{
		return teacher_stop_note(&stop, &o, now);
	}
	int notes(int n, const struct teacher_outcome &o)
	{
		int code = 0;
		for (int i = 0; i < n && !code; i++)
			code = note(o);
		return code;
	}
};

TEST(Stop, FiveDoubtsInARow)
{
	Stopper s(100000);
	EXPECT_EQ(s.notes(4, plain(TEACHER_IN_DOUBT, 69)), 0);
	EXPECT_EQ(s.note(plain(TEACHER_RELEASED, 75)), 0);
	EXPECT_EQ(s.note(plain(TEACHER_IN_DOUBT, 69)), 69);
	Stopper t(100000);
	for (int i = 0; i < 100; i++) {
		EXPECT_EQ(t.notes(4, plain(TEACHER_IN_DOUBT, 69)), 0);
		EXPECT_EQ(t.note(plain(TEACHER_ANSWERED)), 0);
	}
}

TEST(Stop, DoubtsInAll)
{
	for (uint64_t budget : {0, 100, 500, 1000, 3000}) {
		Stopper s(budget);
		int most = (int)std::max<uint64_t>(10, budget / 50), doubts = 0, code = 0;
		while (!code) {
			s.note(plain(TEACHER_ANSWERED));
			code = s.note(plain(TEACHER_IN_DOUBT, 69));
			doubts++;
		}
		EXPECT_EQ(code, 69);
		EXPECT_EQ(doubts, most + 1);
	}
}

TEST(Stop, HalfUnusable)
{
	Stopper s(1000);
	EXPECT_EQ(s.notes(19, plain(TEACHER_UNUSABLE, 65)), 0);
	EXPECT_EQ(s.note(plain(TEACHER_UNUSABLE, 65)), 65);
	Stopper t(1000);
	EXPECT_EQ(t.notes(10, plain(TEACHER_ANSWERED)), 0);
	EXPECT_EQ(t.notes(10, plain(TEACHER_UNUSABLE, 65)), 0);
	EXPECT_EQ(t.note(plain(TEACHER_UNUSABLE, 65)), 65);
}

TEST(Stop, ThreePages)
{
	Stopper s(1000);
	EXPECT_EQ(s.notes(2, plain(TEACHER_UNUSABLE, 65, true)), 0);
	EXPECT_EQ(s.note(plain(TEACHER_ANSWERED)), 0);
	EXPECT_EQ(s.notes(2, plain(TEACHER_UNUSABLE, 65, true)), 0);
	EXPECT_EQ(s.note(plain(TEACHER_UNUSABLE, 65, true)), 76);
}

TEST(Stop, NoProgress)
{
	for (int code : {75, 69}) {
		Stopper s(1000);
		s.now = 600;
		EXPECT_EQ(s.note(plain(TEACHER_RELEASED, code)), 0);
		s.now = 600.5;
		EXPECT_EQ(s.note(plain(TEACHER_RELEASED, code)), code);
		EXPECT_EQ(s.note(plain(TEACHER_ANSWERED)), 0);
		s.now = 1200;
		EXPECT_EQ(s.note(plain(TEACHER_RELEASED, code)), 0);
	}
}

TEST(Stop, TheOutcomesOwnWordIsFirst)
{
	Stopper s(1000);
	struct teacher_outcome o = plain(TEACHER_RELEASED, 77);
	o.stop = 77;
	EXPECT_EQ(s.note(o), 77);
}

// Pace, on a clock of its own.

struct Pacer {
	struct teacher_pace pace;
	double now = 1000;
	std::vector<double> starts;
	Pacer(double rpm, double tpm, size_t concurrent)
	{
		struct teacher_pace_limits limits = {rpm, tpm, concurrent};
		teacher_pace_init(&pace, &limits, now);
	}
	void start(double tokens)
	{
		double delay = teacher_pace_delay(&pace, now, tokens);
		ASSERT_FALSE(std::isinf(delay));
		now += delay;
		ASSERT_DOUBLE_EQ(teacher_pace_delay(&pace, now, tokens), 0);
		teacher_pace_start(&pace, now, tokens);
		starts.push_back(now);
	}
	void finish(const struct teacher_outcome &o, double began)
	{
		teacher_pace_finish(&pace, now, began, &o);
	}
};

TEST(Pace, RequestsOfAnyMinute)
{
	for (double rpm : {1.0, 3.0, 60.0, 500.0, 1200.0, 5000.0}) {
		Pacer p(rpm, 0, 100000);
		for (int i = 0; i < 4 * (int)rpm + 4; i++)
			p.start(1);
		for (size_t i = 0, j = 0; i < p.starts.size(); i++) {
			while (p.starts[i] - p.starts[j] >= 60 - 1e-6)
				j++;
			EXPECT_LE((double)(i - j + 1), rpm) << rpm;
		}
		double spent = p.starts.back() - p.starts.front();
		EXPECT_LT(spent, 60 * (4 + 4 / rpm) * 1.01) << rpm;
	}
}

TEST(Pace, TokensOfAnyMinute)
{
	const double tpm = 60000, sizes[] = {100, 3000, 700, 20, 9000, 1};
	Pacer p(0, tpm, 100000);
	std::vector<double> taken;
	double sum = 0;
	for (int i = 0; i < 600; i++) {
		taken.push_back(sizes[i % 6]);
		sum += taken.back();
		p.start(taken.back());
	}
	double window = 0;
	for (size_t i = 0, j = 0; i < p.starts.size(); i++) {
		window += taken[i];
		while (p.starts[i] - p.starts[j] >= 60 - 1e-6)
			window -= taken[j++];
		EXPECT_LE(window, tpm + 9000 + 1e-3);
	}
	EXPECT_LT(p.now - 1000, sum / tpm * 60 * 1.02);
}

TEST(Pace, LargerThanTheBucketGoesAndIsPaidBack)
{
	Pacer p(0, 600, 10);
	p.start(1200);
	p.start(1);
	EXPECT_NEAR(p.now - 1000, 120, 1);
}

TEST(Pace, ConcurrencyHalvesAndGrows)
{
	Pacer p(0, 0, 8);
	for (int i = 0; i < 8; i++)
		p.start(1);
	EXPECT_TRUE(std::isinf(teacher_pace_delay(&p.pace, p.now, 1)));
	struct teacher_outcome slow = plain(TEACHER_RELEASED, 75), fine = plain(TEACHER_ANSWERED);
	slow.slow_down = true;
	slow.wait = fine.wait = TEACHER_NO_WAIT;
	double began = p.now;
	p.now += 1;
	for (int i = 0; i < 8; i++)
		p.finish(slow, began);
	EXPECT_DOUBLE_EQ(p.pace.concurrent, 4) << "one round of refusals halves once";
	EXPECT_EQ(p.pace.in_flight, 0u);
	for (int i = 0; i < 4; i++)
		p.start(1);
	EXPECT_TRUE(std::isinf(teacher_pace_delay(&p.pace, p.now, 1)));
	for (int i = 0; i < 4; i++)
		p.finish(fine, p.now);
	EXPECT_NEAR(p.pace.concurrent, 5, 0.15);
	for (int i = 0; i < 9; i++) {
		p.now += 1;
		p.start(1);
		p.finish(slow, p.now);
	}
	EXPECT_DOUBLE_EQ(p.pace.concurrent, 1) << "never below one";
	for (int i = 0; i < 100; i++) {
		p.start(1);
		p.finish(fine, p.now);
	}
	EXPECT_DOUBLE_EQ(p.pace.concurrent, 8) << "never above the limit";
}

TEST(Pace, AHoldIsForEverybody)
{
	Pacer p(0, 0, 8);
	struct teacher_outcome refused = plain(TEACHER_RELEASED, 75);
	p.start(1);
	refused.wait = 7;
	p.finish(refused, p.now);
	EXPECT_DOUBLE_EQ(teacher_pace_delay(&p.pace, p.now, 1), 7);
	p.start(1);
	refused.wait = 2;
	p.finish(refused, p.now);
	EXPECT_DOUBLE_EQ(teacher_pace_delay(&p.pace, p.now + 2, 1), 0);
	EXPECT_DOUBLE_EQ(teacher_pace_delay(&p.pace, p.now - 100, 1), 102) << "a clock that runs back";
}

// Addresses and header lines.

TEST(Url, LocalHosts)
{
	const struct {
		const char *host;
		bool local;
	} cases[] = {{"localhost", true},          {"LOCALHOST", true},  {"127.0.0.1", true},
		     {"127.9.9.9", true},          {"[::1]", true},      {"::1", true},
		     {"[0:0:0:0:0:0:0:1]", true},  {"128.0.0.1", false}, {"127.0.0.1.example", false},
		     {"localhost.example", false}, {"[::2]", false},     {"[::ffff:8.8.8.8]", false},
		     {"0.0.0.0", false},           {"", false},          {"[]", false},
		     {"example", false},           {"127.1", false},     {"10.0.0.1", false}};
	for (const auto &c : cases)
		EXPECT_EQ(teacher_host_is_local(c.host), c.local) << c.host;
}

// Only this variable of all that may name a proxy.
void set_alone(const char *name)
{
	for (const char *other : {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
		unsetenv(other);
	if (name)
		setenv(name, name, 1);
}

// curl(1), ENVIRONMENT: HTTP_PROXY is not read.
TEST(Url, ProxiesOfTheEnvironment)
{
	for (const char *name : {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) {
		set_alone(name);
		EXPECT_STREQ(teacher_proxy_find(true), name);
	}
	for (const char *name : {"http_proxy", "all_proxy", "ALL_PROXY"}) {
		set_alone(name);
		EXPECT_STREQ(teacher_proxy_find(false), name);
	}
	set_alone("HTTP_PROXY");
	EXPECT_EQ(teacher_proxy_find(false), nullptr);
	setenv("ALL_PROXY", "last", 1);
	setenv("HTTPS_PROXY", "second", 1);
	setenv("https_proxy", "", 1); // as good as unset
	EXPECT_STREQ(teacher_proxy_find(true), "second");
	set_alone(nullptr);
	EXPECT_EQ(teacher_proxy_find(true), nullptr);
}

TEST(Url, AProxyIsShownWithoutItsPassword)
{
	const char *const cases[][2] = {
		{"http://proxy.test:3128", "http://proxy.test:3128"},
		{"proxy.test:3128", "proxy.test:3128"},
		{"socks5h://[::1]:9", "socks5h://[::1]:9"},
		{"http://me:secret@proxy.test:3128/", "http://proxy.test:3128/"},
		{"me:secret@proxy.test", "proxy.test"},
		{"http://me:sec/ret@x@proxy.test", "http://proxy.test"},
		{"me:secret@x://proxy.test", "x://proxy.test"},
		{"http://me:secret@", "http://"},
	};
	char shown[64];
	for (const auto &c : cases) {
		teacher_proxy_show(shown, sizeof shown, c[0]);
		EXPECT_STREQ(shown, c[1]);
	}
	teacher_proxy_show(shown, sizeof shown, std::string(1000, 'x').c_str());
	EXPECT_EQ(strlen(shown), sizeof shown - 1);
}

// The key.

std::string redacted(const std::string &text, const std::string &key = CANARY)
{
	Key k(key);
	std::string out = text;
	out.resize(teacher_key_redact(&k.key, out.data(), out.size()));
	return out;
}

TEST(KeyText, Redaction)
{
	const std::string key = "abcd3fghijk7mnop";
	const struct {
		std::string text, out;
	} cases[] = {
		{"", ""},
		{"abcd3fg", "abcd3fg"},
		{"abcd3fgh", "[key]"},
		{"xabcd3fghy", "x[key]y"},
		{key, "[key]"},
		{"x" + key + key + "y", "x[key]y"},
		{"x" + key + " " + key + "y", "x[key] [key]y"},
		{"ijk7mnop", "[key]"},
		{"hijk7mno", "[key]"},
		{"-hijk7mn-", "-hijk7mn-"},
		{"abcd3fgXijk7mnop", "abcd3fgX[key]"},
		{"abcd3fghabcd3fg", "[key]abcd3fg"},
		{key.substr(0, 15) + "Z", "[key]Z"},
	};
	for (const auto &c : cases)
		EXPECT_EQ(redacted(c.text, key), c.out) << c.text;
	EXPECT_EQ(redacted("EMPTY", "EMPTY"), "EMPTY") << "too short to be a secret";
	EXPECT_EQ(redacted("1a1a1a1a1a1a1a1a1b", "1a1a1a1a1a"), "[key]b");
	EXPECT_EQ(redacted("it is 100000000.", "sk-0000000000000000"), "it is 100000000.") << "a number of any answer";
	EXPECT_EQ(redacted("sk-0000000000000000", "sk-0000000000000000"), "[key]");
	EXPECT_EQ(redacted("is required", "sk-no-key-required"), "is required") << "a word of any answer";
	EXPECT_EQ(redacted("or ANYTHING", "ANYTHING"), "or ANYTHING");
	EXPECT_EQ(redacted("key sk-no-key-required", "sk-no-key-required"), "key [key]");
	EXPECT_EQ(redacted("or sk-no-key-requires", "sk-no-key-required"), "or [key]s") << "part of it";
	EXPECT_EQ(redacted("abcdefghijklmnopq abcdefghijklmnop", "abcdefghijklmnop"), "[key]q [key]") << "all of it";
	EXPECT_EQ(redacted("abcdefghijklmno", "abcdefghijklmnop"), "abcdefghijklmno");
	std::string none = "abc";
	EXPECT_EQ(teacher_key_redact(nullptr, none.data(), 3), 3u);
}

// Against a search written the slow way: no run is left, and nothing else is touched.
TEST(KeyText, RedactionOfRandomTexts)
{
	const std::string key = "1b1c1b1d1b1c1b1e1b1c1b1";
	uint32_t state = 7;
	for (int round = 0; round < 3000; round++) {
		std::string text, expected;
		for (int i = 0; i < 60; i++) {
			state = state * 1664525 + 1013904223;
			size_t at = (state >> 8) % key.size(), n = (state >> 20) % 12;
			text += state >> 30 ? key.substr(at, n) : std::string(1, "1bcdef"[n % 6]);
		}
		std::vector<bool> hidden(text.size(), false);
		for (size_t i = 0; i + 8 <= text.size(); i++)
			if (key.find(text.substr(i, 8)) != std::string::npos)
				std::fill_n(hidden.begin() + (long)i, 8, true);
		for (size_t i = 0; i < text.size(); i++)
			if (!hidden[i])
				expected += text[i];
			else if (i == 0 || !hidden[i - 1])
				expected += "[key]";
		ASSERT_EQ(redacted(text, key), expected) << text;
	}
}

TEST(KeySource, Environment)
{
	struct teacher_key key;
	struct err err = {};
	setenv("TEACHER_TEST_KEY", CANARY, 1);
	const char *where = getenv("TEACHER_TEST_KEY");
	size_t n = strlen(where);
	ASSERT_EQ(teacher_key_from_env(&key, "TEACHER_TEST_KEY", true, &err), 0) << err.message;
	EXPECT_STREQ(key.text, CANARY);
	EXPECT_EQ(key.n, n);
	EXPECT_EQ(getenv("TEACHER_TEST_KEY"), nullptr);
	EXPECT_EQ(std::string(where, n), std::string(n, '\0')) << "the old place still shows the key";
	teacher_key_release(&key);
	EXPECT_EQ(key.text, nullptr);
	EXPECT_EQ(teacher_key_from_env(&key, "TEACHER_TEST_KEY", true, &err), -1);
	EXPECT_EQ(err.code, ERR_NOPERM);
	EXPECT_NE(std::string(err.message).find("TEACHER_TEST_KEY"), std::string::npos);
}

// A caller of the library may have put a literal there, which cannot be written to, or still read what it put there.
TEST(KeySource, EnvironmentOfAnother)
{
	static const char literal[] = "TEACHER_TEST_KEY=sk-literal";
	struct teacher_key key;
	struct err err = {};
	putenv(const_cast<char *>(literal));
	ASSERT_EQ(teacher_key_from_env(&key, "TEACHER_TEST_KEY", false, &err), 0) << err.message;
	EXPECT_STREQ(key.text, "sk-literal");
	EXPECT_EQ(getenv("TEACHER_TEST_KEY"), nullptr);
	EXPECT_STREQ(literal, "TEACHER_TEST_KEY=sk-literal");
	teacher_key_release(&key);
}

TEST(KeySource, Content)
{
	const struct {
		std::string text;
		bool good;
	} cases[] = {{"k", true},
		     {std::string(4096, 'k'), true},
		     {std::string(4097, 'k'), false},
		     {"", false},
		     {"a b", false},
		     {"a\nb", false},
		     {"a\r", false},
		     {"\xc3\xbc", false},
		     {"a\tb", false},
		     {"!~", true},
		     {std::string(9000, 'k'), false}};
	for (const auto &c : cases) {
		struct teacher_key key;
		struct err err = {};
		setenv("TEACHER_TEST_KEY", c.text.c_str(), 1);
		int rc = teacher_key_from_env(&key, "TEACHER_TEST_KEY", true, &err);
		EXPECT_EQ(rc, c.good ? 0 : -1) << c.text;
		if (c.good) {
			EXPECT_EQ(key.text, c.text);
			teacher_key_release(&key);
		} else {
			EXPECT_EQ(err.code, ERR_NOPERM);
			EXPECT_EQ(key.text, nullptr);
			EXPECT_FALSE(c.text.size() > 8 && shows_key(err.message, c.text));
		}
	}
}

TEST(KeySource, File)
{
	Temporary dir;
	auto load = [](const std::string &path) {
		struct teacher_key key;
		struct err err = {};
		if (teacher_key_from_file(&key, path.c_str(), &err))
			return "refused " + std::to_string(err.code);
		std::string text(key.text, key.n);
		EXPECT_EQ(key.text[key.n], '\0');
		teacher_key_release(&key);
		return text;
	};
	const struct {
		std::string content, result;
	} cases[] = {{"key\n", "key"},
		     {"key", "key"},
		     {"key\r\n", "key"},
		     {"key\n\n", "refused 77"},
		     {"\n", "refused 77"},
		     {"", "refused 77"},
		     {" key", "refused 77"},
		     {std::string(4096, 'k') + "\r\n", std::string(4096, 'k')},
		     {std::string(4097, 'k'), "refused 77"},
		     {std::string(100000, 'k'), "refused 77"}};
	for (const auto &c : cases) {
		write_file(dir / "key", c.content);
		chmod((dir / "key").c_str(), 0600);
		EXPECT_EQ(load(dir / "key"), c.result) << c.content.substr(0, 20);
	}
	write_file(dir / "key", "key\n");
	for (unsigned mode : {0640u, 0604u, 0610u, 0620u, 0601u, 0666u}) {
		chmod((dir / "key").c_str(), mode);
		EXPECT_EQ(load(dir / "key"), "refused 77") << mode;
	}
	chmod((dir / "key").c_str(), 0400);
	EXPECT_EQ(load(dir / "key"), "key");
	ASSERT_EQ(symlink("key", (dir / "link").c_str()), 0);
	EXPECT_EQ(load(dir / "link"), "refused 77");
	ASSERT_EQ(mkfifo((dir / "fifo").c_str(), 0600), 0);
	EXPECT_EQ(load(dir / "fifo"), "refused 77");
	EXPECT_EQ(load(dir.path), "refused 77");
	EXPECT_EQ(load(dir / "absent"), "refused 77");
	if (geteuid() == 0) {
		chmod((dir / "key").c_str(), 0600);
		ASSERT_EQ(chown((dir / "key").c_str(), 12345, (gid_t)-1), 0);
		EXPECT_EQ(load(dir / "key"), "refused 77") << "somebody else's file";
	}
}

} // namespace
