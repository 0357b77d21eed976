// SPDX-License-Identifier: Apache-2.0
// Memory that runs out anywhere, libraries included: nothing crashes, nothing
// leaks, and what may have been paid is never called unpaid.
#include <gtest/gtest.h>

#include "src/teacher/request.h"
#include "tests/short_memory.h"
#include "tests/teacher_mock.h"
#include "tests/temporary.h"

#if SHORT_MEMORY

namespace
{

enum { MOST = 5000 };

// Only what needs no memory of the test's own while memory is short.
struct Result {
	int replies = 0;
	enum teacher_state state = TEACHER_STATES;
	bool has_content = false;
};

void note(void *context, const struct teacher_reply *reply)
{
	Result *r = (Result *)context;
	r->replies++;
	r->state = reply->outcome.state;
	r->has_content = reply->answer.content != nullptr;
}

struct Short {
	Key key;
	Slot slot;
	std::string url;
	struct teacher_openai_config config = {};
	struct teacher_question question = {};

	explicit Short(const std::string &url_) : url(url_)
	{
		config.http.base_url = url.c_str();
		config.http.key = &key.key;
		config.http.max_concurrent = 2;
		config.http.timeout = 5;
		config.model = "m";
		question.body = REQUEST.data();
		question.body_n = REQUEST.size();
		question.client_id = "a";
		question.slot = &slot.slot;
	}
	// Open, ask once, wait, close: all with short memory. What went wrong is in err.
	Result run(struct err *err)
	{
		Result result;
		struct teacher_source *source = teacher_openai_open(&config, err);
		if (!source)
			return result;
		int rc = source->ask(source, &question, err);
		while (!rc && !result.replies)
			rc = source->poll(source, 5, note, &result, err) < 0;
		source->close(source);
		return result;
	}
};

class Memory : public testing::TestWithParam<bool>
{
};

TEST_P(Memory, OneQuestion)
{
	Mock mock([](Connection &c) {
		if (c.read_request())
			c.send(reply("200 OK", "Retry-After: 3\r\n", answer()));
	});
	Short s(mock.url());
	struct err err = {};
	ASSERT_EQ(s.run(&err).state, TEACHER_ANSWERED); // libraries set themselves up
	bool more = true;
	long n = 1;
	for (; more && n < MOST; n++) {
		int before = mock.receipts;
		Result result;
		err_clear(&err);
		{
			Shortage shortage(n, GetParam());
			result = s.run(&err);
			more = failed;
		}
		int receipts = mock.receipts - before;
		ASSERT_LE(receipts, 1) << n;
		if (result.replies) {
			ASSERT_EQ(result.replies, 1) << n;
			ASSERT_FALSE(receipts && result.state == TEACHER_RELEASED) << "paid, called unpaid: " << n;
			ASSERT_FALSE(receipts && result.state == TEACHER_REJECTED) << n;
			ASSERT_FALSE(result.state == TEACHER_UNUSABLE) << "a good answer thrown away: " << n;
			ASSERT_EQ(result.state == TEACHER_ANSWERED, result.has_content) << n;
		} else {
			ASSERT_EQ(err.code, ERR_MEMORY) << n << ": " << err.message;
		}
	}
	EXPECT_GT(n, 50) << "the shortage was never felt";
	EXPECT_LT(n, MOST);
}

template <typename Work> void sweep(bool onwards_, const Work &work)
{
	bool more = true;
	long n = 1;
	for (; more && n < MOST; n++) {
		Shortage shortage(n, onwards_);
		work(n);
		more = failed;
	}
	EXPECT_GT(n, 2);
	EXPECT_LT(n, MOST);
}

TEST_P(Memory, Answer)
{
	Key key;
	const std::string body =
		answer("\"content\":\"the \\u006bey is " + key.text + "\"", "\"stop\"",
		       ",\"usage\":{\"prompt_tokens\":99999999999999999999999,\"completion_tokens\":1}");
	sweep(GetParam(), [&](long n) {
		struct teacher_answer a;
		struct err err = {};
		int rc = teacher_answer_read(&a, body.data(), body.size(), "m", &key.key, &err);
		bool good = rc ? err.code == ERR_MEMORY : a.cause == TEACHER_USABLE || a.cause == TEACHER_FINISH_REASON;
		bool clean = rc || !a.content || !strstr(a.content, "CANARY");
		if (!rc)
			teacher_answer_release(&a);
		counted = -1;
		EXPECT_TRUE(good) << n << " " << rc << " " << err.message;
		EXPECT_TRUE(clean) << n;
		counted = 0;
	});
}

TEST_P(Memory, ErrorAndRequestAndHash)
{
	Key key;
	const std::string body = error_body("bad key " + key.text, "\"t\"", "\"c\"");
	sweep(GetParam(), [&](long n) {
		struct teacher_error e;
		struct err err = {};
		size_t changed_n = 0;
		char hex[HASH_HEX_ROOM];
		struct teacher_question q = {};
		q.kind = q.domain = q.id = "x";
		q.body = REQUEST.data();
		q.body_n = REQUEST.size();
		teacher_error_read(&e, body.data(), body.size(), &key.key);
		bool clean = !strstr(e.message, "CANARY");
		char *changed = teacher_request_change(REQUEST.data(), REQUEST.size(), 3, &changed_n, &err);
		bool good = changed || err.code == ERR_MEMORY;
		free(changed);
		int rc = teacher_question_hash(hex, &q, &err);
		good = good && (!rc || err.code == ERR_MEMORY);
		counted = -1;
		EXPECT_TRUE(clean) << n;
		EXPECT_TRUE(good) << n << " " << err.message;
		counted = 0;
	});
}

TEST_P(Memory, Cassette)
{
	Temporary dir;
	std::string path = dir / "cassette";
	write_file(path, "{\"kind\":\"annotate\",\"domain\":\"d\",\"input\":\"i\",\"rationale\":\"r\"}\n");
	sweep(GetParam(), [&](long n) {
		struct teacher_recorded_config config = {};
		struct teacher_question q = {};
		struct err err = {};
		Result result;
		config.path = path.c_str();
		q.kind = "annotate";
		q.domain = "d";
		q.id = "1";
		q.input = "i";
		q.input_n = 1;
		q.body = REQUEST.data();
		q.body_n = REQUEST.size();
		struct teacher_source *source = teacher_recorded_open(&config, &err);
		bool good = source || err.code == ERR_MEMORY;
		if (source) {
			int rc = source->ask(source, &q, &err) || source->poll(source, 0, note, &result, &err) < 0;
			good = rc ? err.code == ERR_MEMORY : result.state == TEACHER_ANSWERED;
			source->close(source);
		}
		counted = -1;
		EXPECT_TRUE(good) << n << " " << err.message;
		counted = 0;
	});
}

/* A line that no memory was left for is paid: it waits for the next call. */
TEST_P(Memory, CommandIsHeardAgain)
{
	const char *const argv[] = {"/bin/sh", "-c", "while read -r line; do echo '{\"id\": 1, \"content\": \"grain\"}'; done", nullptr};
	struct teacher_command_config config = {};
	config.argv = argv;
	config.timeout = 30;
	long told = 0, n = 1;
	for (bool more = true; more && n < MOST; n++) {
		struct err err = {};
		Result result;
		struct teacher_question q = {};
		Slot slot;
		q.kind = q.domain = q.id = "x", q.tag = 1, q.slot = &slot.slot;
		q.body = REQUEST.data(), q.body_n = REQUEST.size();
		struct teacher_source *source = teacher_command_open(&config, &err);
		ASSERT_NE(source, nullptr) << err.message;
		ASSERT_EQ(source->ask(source, &q, &err), 0) << err.message;
		int rc = 0;
		{
			Shortage shortage(n, GetParam());
			while (!rc && !result.replies)
				rc = source->poll(source, 5, note, &result, &err) < 0;
			more = failed;
		}
		told += rc;
		EXPECT_EQ(rc ? err.code : ERR_MEMORY, ERR_MEMORY) << n << ": " << err.message;
		if (!result.replies) {
			EXPECT_EQ(source->poll(source, 5, note, &result, &err), 1) << n << ": " << err.message;
		}
		EXPECT_EQ(result.state, TEACHER_ANSWERED) << n;
		source->close(source);
	}
	EXPECT_GT(told, 2);
}

INSTANTIATE_TEST_SUITE_P(OnceAndOnwards, Memory, testing::Bool());

} // namespace

#else

TEST(Memory, NeedsTheOrdinaryAllocator)
{
	GTEST_SKIP() << "the sanitizer has an allocator of its own";
}

#endif
