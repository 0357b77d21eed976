// SPDX-License-Identifier: Apache-2.0
// The teachers that are no server: a program, and a cassette.
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <map>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/teacher_mock.h"
#include "tests/temporary.h"

namespace
{

struct Heard {
	std::vector<uint64_t> order;
	std::map<uint64_t, Asked> reply;
	std::map<uint64_t, std::string> raw;
};

void hear(void *context, const struct teacher_reply *reply)
{
	Heard *heard = (Heard *)context;
	heard->order.push_back(reply->tag);
	take_reply(&heard->reply[reply->tag], reply);
	heard->raw[reply->tag] = reply->raw ? std::string(reply->raw, reply->raw_n) : "";
}

struct Question {
	std::string kind = "annotate", domain = "acq", id = "7", input, body = REQUEST;
	uint64_t tag = 1, ordinal = 0, attempt = 0, position = 0;

	struct teacher_question view() const
	{
		struct teacher_question q = {};
		q.tag = tag;
		q.kind = kind.c_str();
		q.domain = domain.c_str();
		q.id = id.c_str();
		q.ordinal = ordinal;
		q.attempt = attempt;
		q.position = position;
		q.input = input.empty() ? nullptr : input.c_str();
		q.input_n = input.size();
		q.body = body.data();
		q.body_n = body.size();
		return q;
	}
	std::string hash() const
	{
		char hex[HASH_HEX_ROOM];
		struct teacher_question q = view();
		EXPECT_EQ(teacher_question_hash(hex, &q, nullptr), 0);
		return hex;
	}
};

struct Source {
	struct teacher_source *source = nullptr;
	struct err err = {};
	Heard heard;

	Source() = default;
	Source(const Source &) = delete;
	~Source()
	{
		if (source)
			source->close(source);
	}
	int ask(const Question &question)
	{
		struct teacher_question q = question.view();
		return source->ask(source, &q, &err);
	}
	int poll(double seconds = 10)
	{
		return source->poll(source, seconds, hear, &heard, &err);
	}
	void poll_for(size_t n)
	{
		for (int i = 0; i < 100 && heard.order.size() < n; i++)
			ASSERT_GE(poll(0.5), 0) << err.message;
	}
};

// A program of these lines of shell.
struct Program : Source {
	Temporary dir;
	std::string path;

	explicit Program(const std::string &script, double timeout = 20, size_t at_once = 8, const char *key = nullptr)
	    : path(dir / "teacher")
	{
		write_file(path, "#!/bin/sh\n" + script);
		chmod(path.c_str(), 0755);
		std::string log = dir / "log";
		const char *const argv[] = {path.c_str(), "two words; $(no shell)", log.c_str(), nullptr};
		struct teacher_command_config config = {};
		config.argv = argv;
		config.key_name = key;
		config.max_concurrent = at_once;
		config.timeout = timeout;
		source = teacher_command_open(&config, &err);
	}
};

const std::string ID = "id=${line#*'\"id\":'}; id=${id%%,*}; ";
const std::string ECHO = "while read -r line; do " + ID +
			 "printf '{\"id\":%s,\"content\":\"answer %s\",\"usage\":{\"prompt_tokens\":1,"
			 "\"completion_tokens\":2}}\\n' $id $id; done\n";

Question tagged(uint64_t tag)
{
	Question q;
	q.tag = tag;
	return q;
}

TEST(Command, AnswersAQuestion)
{
	Program p("echo \"$1\" > \"$2\"; while read -r line; do printf '%s\\n' \"$line\" >> \"$2\"; " + ID +
		  "printf '{\"id\":%s,\"content\":\"yes\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\\n' "
		  "$id; "
		  "done\n");
	ASSERT_NE(p.source, nullptr) << p.err.message;
	EXPECT_TRUE(p.source->billable);
	ASSERT_EQ(p.ask(tagged(41)), 0) << p.err.message;
	p.poll_for(1);
	const Asked &a = p.heard.reply[41];
	EXPECT_EQ(a.outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(a.content, "yes");
	EXPECT_EQ(a.finish_reason, "stop");
	EXPECT_EQ(a.usage.completion_tokens, 2u);
	EXPECT_EQ(read_file(p.dir / "log"),
		  "two words; $(no shell)\n{\"id\":41,\"kind\":\"annotate\",\"domain\":\"acq\",\"messages\":[{\"role\":"
		  "\"user\",\"content\":\"why?\"}],\"temperature\":0,\"max_tokens\":64}\n");
	struct teacher_answer again;
	ASSERT_EQ(p.source->read(p.source, &again, p.heard.raw[41].data(), p.heard.raw[41].size(), &p.err), 0);
	EXPECT_STREQ(again.content, "yes");
	EXPECT_EQ(again.cause, TEACHER_USABLE);
	teacher_answer_release(&again);
}

TEST(Command, ManyAnswersInAnyOrder)
{
	Program p("n=0; while read -r line; do " + ID +
		  "all=\"$id $all\"; n=$((n+1)); if [ $n = 8 ]; then for id in $all; do "
		  "printf '{\"id\":%s,\"content\":\"answer %s\"}\\n' $id $id; done; n=0; all=; fi; done\n");
	for (uint64_t round = 0; round < 5; round++) {
		for (uint64_t i = 0; i < 8; i++)
			ASSERT_EQ(p.ask(tagged(8 * round + i)), 0) << p.err.message;
		EXPECT_EQ(p.ask(tagged(999)), -1);
		EXPECT_EQ(p.err.code, ERR_INTERNAL);
		p.poll_for(8 * round + 8);
	}
	ASSERT_EQ(p.heard.order.size(), 40u);
	EXPECT_EQ(p.heard.order[0], 7u);
	for (uint64_t i = 0; i < 40; i++)
		EXPECT_EQ(p.heard.reply[i].content, "answer " + std::to_string(i));
}

TEST(Command, LargeLinesBothWays)
{
	Program p("while read -r line; do " + ID +
		  "printf '%s' \"${#line}\" > \"$2\"; printf '{\"id\":%s,\"content\":\"' $id; "
		  "head -c 3000000 /dev/zero | tr '\\0' x; printf '\"}\\n'; done\n");
	for (uint64_t i = 0; i < 3; i++) {
		Question q = tagged(i);
		q.body = "{\"messages\":[{\"role\":\"user\",\"content\":\"" + std::string(100000, 'q') + "\"}]}";
		ASSERT_EQ(p.ask(q), 0);
	}
	p.poll_for(3);
	for (uint64_t i = 0; i < 3; i++)
		EXPECT_EQ(p.heard.reply[i].content, std::string(3000000, 'x'));
	EXPECT_GT(std::stoul(read_file(p.dir / "log")), 100000u);
}

TEST(Command, BadAnswers)
{
	const struct {
		const char *row;
		enum teacher_state state;
		const char *reason;
	} cases[] = {
		{"\"content\":\"\"", TEACHER_UNUSABLE, "empty content"},
		{"\"content\":null", TEACHER_UNUSABLE, "no content"},
		{"\"content\":\"x\",\"finish_reason\":\"length\"", TEACHER_UNUSABLE, "length"},
		{"\"content\":\"x\",\"finish_reason\":\"stop\"", TEACHER_ANSWERED, ""},
		{"\"error\":\"out of cheese\"", TEACHER_IN_DOUBT, "error"},
		{"\"error\":false,\"content\":\"x\"", TEACHER_ANSWERED, ""},
		{"\"content\":\"<think>x</think>\"", TEACHER_UNUSABLE, "empty content"},
	};
	for (const auto &c : cases) {
		Program p("while read -r line; do " + ID + "printf '{\"id\":%s,%s}\\n' $id '" + c.row + "'; done\n");
		ASSERT_EQ(p.ask(tagged(3)), 0);
		p.poll_for(1);
		EXPECT_EQ(p.heard.reply[3].outcome.state, c.state) << c.row;
		EXPECT_STREQ(p.heard.reply[3].outcome.reason, c.reason);
	}
}

TEST(Command, WritesSomethingElse)
{
	for (const char *row :
	     {"hello", "{\"id\":9,\"content\":\"x\"}", "{\"content\":\"x\"}", "[]", "{\"id\":\"3x\"}", "{\"id\":\"\"}",
	      "{\"id\":\"10000000000000000003\"}"}) {
		Program p(std::string("read -r line; printf '%s\\n' '") + row + "'; sleep 5\n");
		ASSERT_EQ(p.ask(tagged(3)), 0);
		EXPECT_EQ(p.poll(), -1) << row;
		EXPECT_EQ(p.err.code, ERR_PROTOCOL);
	}
}

TEST(Command, Ends)
{
	Program p("read -r line; read -r line; exit 3\n");
	ASSERT_EQ(p.ask(tagged(1)), 0);
	ASSERT_EQ(p.ask(tagged(2)), 0);
	p.poll_for(2);
	for (uint64_t i : {1, 2}) {
		EXPECT_EQ(p.heard.reply[i].outcome.state, TEACHER_IN_DOUBT);
		EXPECT_EQ(p.heard.reply[i].outcome.code, 69);
	}
	EXPECT_EQ(p.ask(tagged(4)), -1);
	EXPECT_EQ(p.err.code, ERR_UNAVAILABLE);
}

// What the program never took is not paid.
TEST(Command, EndsBeforeItTookTheQuestion)
{
	Program p("exec 0<&-; sleep 0.2\n");
	usleep(100 * 1000);
	Question q = tagged(1);
	q.body = "{\"messages\":[{\"role\":\"user\",\"content\":\"" + std::string(2000000, 'q') + "\"}]}";
	ASSERT_EQ(p.ask(q), 0);
	p.poll_for(1);
	EXPECT_EQ(p.heard.reply[1].outcome.state, TEACHER_RELEASED);
}

// One that reads no more but goes on writing: nothing is sent, and waiting for it costs no processor.
TEST(Command, ReadsNoMore)
{
	Program p("exec 0<&-; sleep 5\n", 0.5);
	usleep(100 * 1000);
	ASSERT_EQ(p.ask(tagged(1)), 0);
	clock_t before = clock();
	p.poll_for(1);
	EXPECT_LT((double)(clock() - before) / CLOCKS_PER_SEC, 0.2);
	EXPECT_EQ(p.heard.reply[1].outcome.state, TEACHER_RELEASED);
	EXPECT_EQ(p.ask(tagged(2)), -1);
	EXPECT_EQ(p.err.code, ERR_UNAVAILABLE);
}

// One that answers one question after the other has its time for each.
TEST(Command, OneAfterTheOther)
{
	Program p("while read -r line; do " + ID + "sleep 0.3; printf '{\"id\":%s,\"content\":\"x\"}\\n' $id; done\n", 0.7);
	for (uint64_t i = 0; i < 6; i++)
		ASSERT_EQ(p.ask(tagged(i)), 0) << p.err.message;
	p.poll_for(6);
	for (uint64_t i = 0; i < 6; i++)
		EXPECT_EQ(p.heard.reply[i].outcome.state, TEACHER_ANSWERED) << i;
}

TEST(Command, SilenceIsInDoubtAndALateAnswerIsIgnored)
{
	Program p("read -r line; sleep 0.6; printf '{\"id\":1,\"content\":\"late\"}\\n'; " + ECHO, 0.3);
	ASSERT_EQ(p.ask(tagged(1)), 0);
	p.poll_for(1);
	EXPECT_EQ(p.heard.reply[1].outcome.state, TEACHER_IN_DOUBT);
	EXPECT_STREQ(p.heard.reply[1].outcome.reason, "timed out");
	usleep(500 * 1000);
	ASSERT_EQ(p.ask(tagged(2)), 0);
	p.poll_for(2);
	EXPECT_EQ(p.heard.reply[2].content, "answer 2");
}

// Given up before a byte of it was written, a question leaves the queue; one that is begun is ended, and in doubt.
TEST(Command, WhatIsGivenBackIsNotAskedLater)
{
	Program p("sleep 1; while read -r line; do " + ID + "echo $id >> \"$2\"; " +
			  "printf '{\"id\":%s,\"content\":\"answer %s\"}\\n' $id $id; done\n",
		  0.5);
	for (uint64_t i = 1; i <= 4; i++) {
		Question q = tagged(i);
		q.body = "{\"messages\":[{\"role\":\"user\",\"content\":\"" + std::string(3000000, 'q') + "\"}]}";
		ASSERT_EQ(p.ask(q), 0);
	}
	p.poll_for(4);
	EXPECT_EQ(p.heard.reply[1].outcome.state, TEACHER_IN_DOUBT);
	for (uint64_t i = 2; i <= 4; i++)
		EXPECT_EQ(p.heard.reply[i].outcome.state, TEACHER_RELEASED) << i;
	for (uint64_t i = 5; i < 45 && p.heard.reply[i - 1].content.empty(); i++) { /* it reads slowly at first */
		ASSERT_EQ(p.ask(tagged(i)), 0);
		p.poll_for(p.heard.order.size() + 1);
	}
	std::string last = std::to_string(p.heard.order.back()), seen = read_file(p.dir / "log");
	EXPECT_EQ(p.heard.reply[p.heard.order.back()].content, "answer " + last);
	EXPECT_EQ(seen.substr(0, 2), "1\n");
	EXPECT_EQ(seen.find("\n2\n"), std::string::npos) << seen;
	EXPECT_EQ(seen.find("\n3\n"), std::string::npos) << seen;
	EXPECT_EQ(seen.find("\n4\n"), std::string::npos) << seen;
}

TEST(Command, AnswersBehindABadLineCount)
{
	Program p("read -r line; read -r line; printf 'loading\\n{\"id\":1,\"content\":\"one\"}\\nready\\n"
		  "{\"id\":2,\"content\":\"two\"}\\n'; sleep 5\n");
	ASSERT_EQ(p.ask(tagged(1)), 0);
	ASSERT_EQ(p.ask(tagged(2)), 0);
	EXPECT_EQ(p.poll(), -1);
	EXPECT_EQ(p.err.code, ERR_PROTOCOL);
	EXPECT_NE(std::string(p.err.message).find("loading"), std::string::npos) << p.err.message;
	EXPECT_EQ(p.heard.reply[1].content, "one");
	EXPECT_EQ(p.heard.reply[2].content, "two");
}

TEST(Command, TheLastAnswerNeedsNoLineEnd)
{
	Program p("read -r line; printf '{\"id\":1,\"content\":\"one\"}'\n");
	ASSERT_EQ(p.ask(tagged(1)), 0);
	p.poll_for(1);
	EXPECT_EQ(p.heard.reply[1].outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(p.heard.reply[1].content, "one");
}

// The end of its input is its word to clean up, for which it has a moment; and it ignores no signal that we ignore.
TEST(Command, CleansUpAtTheEnd)
{
	Temporary kept;
	signal(SIGPIPE, SIG_IGN);
	{
		Program p("grep SigIgn /proc/self/status > " + (kept / "ignored") + "; " + ECHO + "sleep 0.3; echo done > " + (kept / "done"));
		ASSERT_EQ(p.ask(tagged(1)), 0);
		p.poll_for(1);
	}
	signal(SIGPIPE, SIG_DFL);
	EXPECT_EQ(read_file(kept / "done"), "done\n");
	unsigned long ignored = std::stoul(read_file(kept / "ignored").substr(7), nullptr, 16);
	EXPECT_EQ(ignored >> (SIGPIPE - 1) & 1, 0u);
}

TEST(Command, DoesNotSeeTheKey)
{
	setenv("TEACHER_TEST_KEY", CANARY, 1);
	setenv("TEACHER_TEST_KEY2", "visible", 1);
	Program p("env > \"$2\"; " + ECHO, 20, 1, "TEACHER_TEST_KEY");
	ASSERT_EQ(p.ask(tagged(1)), 0);
	p.poll_for(1);
	std::string seen = read_file(p.dir / "log");
	EXPECT_FALSE(shows_key(seen));
	EXPECT_NE(seen.find("TEACHER_TEST_KEY2=visible"), std::string::npos);
	unsetenv("TEACHER_TEST_KEY");
	unsetenv("TEACHER_TEST_KEY2");
}

TEST(Command, CannotBeStarted)
{
	Temporary dir;
	std::string path = dir / "absent";
	const char *const argv[] = {path.c_str(), nullptr};
	struct teacher_command_config config = {};
	struct err err = {};
	config.argv = argv;
	EXPECT_EQ(teacher_command_open(&config, &err), nullptr);
	EXPECT_EQ(err.code, ERR_NOINPUT);
	EXPECT_NE(std::string(err.message).find("absent"), std::string::npos);
}

TEST(Command, IsGoneAfterClose)
{
	pid_t child = 0;
	{
		Program p("echo $$ > \"$2\"; trap '' TERM; " + ECHO + "sleep 100\n");
		ASSERT_EQ(p.ask(tagged(1)), 0);
		p.poll_for(1);
		child = atoi(read_file(p.dir / "log").c_str());
		ASSERT_GT(child, 1);
		EXPECT_EQ(kill(child, 0), 0);
	}
	EXPECT_EQ(kill(child, 0), -1);
	EXPECT_EQ(errno, ESRCH);
}

// Cassettes.

struct Cassette : Source {
	Temporary dir;

	explicit Cassette(const std::string &text, bool skip = false)
	{
		std::string path = dir / "cassette";
		write_file(path, text);
		struct teacher_recorded_config config = {};
		config.path = path.c_str();
		config.skip_missing = skip;
		source = teacher_recorded_open(&config, &err);
	}
};

std::string row(const Question &q, const std::string &rest)
{
	return "{\"kind\":\"" + q.kind +
	       "\",\"stage\":0,\"domain\":\"acq\",\"id\":7,\"ordinal\":0,\"prompt_sha256\":\"" + q.hash() + "\"," +
	       rest + "}\n";
}

std::string answered(const std::string &content)
{
	return "\"state\":\"answered\",\"reason\":null,\"http\":200,\"finish_reason\":\"stop\",\"content\":\"" +
	       content + "\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}";
}

// The k-th row answers the k-th attempt, whatever became of it.
TEST(Recorded, Attempts)
{
	Question q, other;
	other.id = "8";
	Cassette c(row(q, "\"state\":\"released\",\"reason\":\"http 429\",\"http\":429,\"content\":null") +
		   row(other, answered("other")) +
		   row(q, "\"state\":\"in_doubt\",\"reason\":\"timed out\",\"http\":null,\"content\":null") +
		   row(q, answered("third")) +
		   row(q, "\"state\":\"unusable\",\"reason\":\"length\",\"http\":200,\"finish_reason\":\"length\","
			  "\"content\":\"half\"") +
		   row(q, "\"state\":\"rejected\",\"reason\":\"http 400\",\"http\":400"));
	ASSERT_NE(c.source, nullptr) << c.err.message;
	EXPECT_FALSE(c.source->billable);
	for (uint64_t i : {3, 0, 2, 1, 4}) {
		q.attempt = q.tag = i;
		ASSERT_EQ(c.ask(q), 0) << c.err.message;
	}
	EXPECT_EQ(c.poll(), 5);
	const struct {
		enum teacher_state state;
		const char *reason, *content;
		int status;
	} expected[] = {{TEACHER_RELEASED, "http 429", "", 429},
			{TEACHER_IN_DOUBT, "timed out", "", 0},
			{TEACHER_ANSWERED, "", "third", 200},
			{TEACHER_UNUSABLE, "length", "half", 200},
			{TEACHER_REJECTED, "http 400", "", 400}};
	for (uint64_t i = 0; i < 5; i++) {
		const Asked &a = c.heard.reply[i];
		EXPECT_EQ(a.outcome.state, expected[i].state) << i;
		EXPECT_STREQ(a.outcome.reason, expected[i].reason);
		EXPECT_EQ(a.content, expected[i].content);
		EXPECT_EQ(a.exchange.status, expected[i].status);
		EXPECT_EQ(a.outcome.retry, i < 2);
	}
	EXPECT_EQ(c.heard.reply[2].usage.completion_tokens, 4u);
	q.attempt = 5;
	EXPECT_EQ(c.ask(q), -1);
	EXPECT_EQ(c.err.code, ERR_DATA);
	EXPECT_NE(std::string(c.err.message).find("attempt 6"), std::string::npos);
}

// What a cassette holds was left when the thinking was cut; a second cut would leave less.
TEST(Recorded, ThinkingIsCutOnce)
{
	Question q;
	Cassette c(row(q, "\"state\":\"answered\",\"http\":200,\"content\":\"It is 7. </think>\""));
	ASSERT_EQ(c.ask(q), 0) << c.err.message;
	EXPECT_EQ(c.poll(), 1);
	EXPECT_EQ(c.heard.reply[q.tag].outcome.state, TEACHER_ANSWERED);
	EXPECT_EQ(c.heard.reply[q.tag].content, "It is 7. </think>");
}

// Nothing was bought after it: it is no gap in the recording.
TEST(Recorded, ALastDoubtStaysOne)
{
	Question q;
	Cassette c(row(q, "\"state\":\"in_doubt\",\"reason\":\"timed out\",\"content\":null") +
		   row(q, "\"state\":\"in_doubt\",\"reason\":\"http 451\",\"content\":null"));
	for (uint64_t i : {0, 1}) {
		q.attempt = q.tag = i;
		ASSERT_EQ(c.ask(q), 0) << c.err.message;
	}
	EXPECT_EQ(c.poll(), 2);
	EXPECT_TRUE(c.heard.reply[0].outcome.retry);
	EXPECT_FALSE(c.heard.reply[1].outcome.retry);
}

TEST(Recorded, WhatIsMissing)
{
	Question q;
	Cassette strict(""), skipping("", true);
	EXPECT_EQ(strict.ask(q), -1);
	EXPECT_EQ(strict.err.code, ERR_DATA);
	ASSERT_EQ(skipping.ask(q), 0);
	EXPECT_EQ(skipping.poll(), 1);
	EXPECT_EQ(skipping.heard.reply[1].outcome.state, TEACHER_REJECTED);
	EXPECT_STREQ(skipping.heard.reply[1].outcome.reason, "not recorded");
	EXPECT_FALSE(skipping.heard.reply[1].outcome.retry);
}

TEST(Recorded, ParsedRows)
{
	const std::string text =
		"\xEF\xBB\xBF{\"kind\":\"annotate\",\"domain\":\"acq\",\"input\":\"a "
		"b\",\"rationale\":\"one\",\"x\":[]}\r\n\r\n"
		"{\"kind\":\"synthesize\",\"domain\":\"acq\",\"input\":\"new "
		"1\",\"label\":\"L\",\"rationale\":\"s1\"}\n"
		"{\"kind\":\"annotate\",\"domain\":\"earn\",\"input\":\"a b\",\"rationale\":\"two\"}\n"
		"{\"kind\":\"synthesise\",\"domain\":\"earn\",\"input\":\"new 2\",\"rationale\":\"s2\"}\n"
		"{\"kind\":\"synthesise\",\"domain\":\"acq\",\"input\":\"new 3\",\"rationale\":\"s3\"}";
	Cassette c(text, true);
	ASSERT_NE(c.source, nullptr) << c.err.message;
	const struct {
		const char *kind, *domain, *input;
		uint64_t attempt, position;
		const char *content;
	} cases[] = {
		{"annotate", "acq", "a b", 0, 0, "one"},
		{"annotate", "earn", "a b", 0, 0, "two"},
		{"annotate", "acq", "a b", 1, 0, "one"},
		{"annotate", "acq", "a b ", 0, 0, nullptr},
		{"annotate", "crude", "a b", 0, 0, nullptr},
		{"annotate", "acq", "", 0, 0, nullptr},
		{"synthesise", "acq", "", 0, 0, "Input: new 1\nRationale: s1\nAnswer: L"},
		{"synthesise", "acq", "", 0, 1, "Input: new 3\nRationale: s3"},
		{"synthesise", "earn", "", 0, 0, "Input: new 2\nRationale: s2"},
		{"synthesise", "acq", "", 0, 2, nullptr},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		Question q;
		q.tag = i;
		q.kind = cases[i].kind;
		q.domain = cases[i].domain;
		q.input = cases[i].input;
		q.attempt = cases[i].attempt;
		q.position = cases[i].position;
		ASSERT_EQ(c.ask(q), 0) << c.err.message;
		ASSERT_EQ(c.poll(), 1);
		const Asked &a = c.heard.reply[i];
		EXPECT_EQ(a.outcome.state, cases[i].content ? TEACHER_ANSWERED : TEACHER_REJECTED) << i;
		if (!cases[i].content)
			continue;
		EXPECT_EQ(a.content, cases[i].content);
		struct teacher_answer again;
		ASSERT_EQ(c.source->read(c.source, &again, c.heard.raw[i].data(), c.heard.raw[i].size(), &c.err), 0);
		EXPECT_EQ(again.content, a.content);
		teacher_answer_release(&again);
	}
}

TEST(Recorded, AnAnswerWithoutTextIsNone)
{
	Question q;
	Cassette c(row(q, "\"state\":\"answered\",\"content\":null"));
	ASSERT_EQ(c.ask(q), 0);
	EXPECT_EQ(c.poll(), 1);
	EXPECT_EQ(c.heard.reply[1].outcome.state, TEACHER_UNUSABLE);
}

TEST(Recorded, Refused)
{
	const char *const rows[] = {
		"{",
		"[]",
		"{}",
		"{\"kind\":\"annotate\"}",
		"{\"kind\":\"x\",\"domain\":\"d\",\"input\":\"i\",\"rationale\":\"r\"}",
		"{\"kind\":\"annotate\",\"domain\":\"d\",\"input\":7,\"rationale\":\"r\"}",
		"{\"prompt_sha256\":\"00\"}",
		"{\"prompt_sha256\":\"00\",\"state\":\"answered\"}",
		"{\"prompt_sha256\":7,\"state\":\"answered\"}",
		("{\"prompt_sha256\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"state\":"
		 "\"paid\"}"),
	};
	for (const char *bad : rows) {
		Cassette c(std::string("\n\n") + bad);
		EXPECT_EQ(c.source, nullptr) << bad;
		EXPECT_EQ(c.err.code, ERR_DATA) << bad;
		EXPECT_NE(std::string(c.err.message).find("cassette:3: "), std::string::npos) << c.err.message;
	}
	struct teacher_recorded_config config = {};
	struct err err = {};
	config.path = "/nonexistent/cassette";
	EXPECT_EQ(teacher_recorded_open(&config, &err), nullptr);
	EXPECT_EQ(err.code, ERR_NOINPUT);
}

} // namespace
