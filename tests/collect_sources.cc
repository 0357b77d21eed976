// SPDX-License-Identifier: Apache-2.0
/*
 * The loop with real sources behind it: a server, a program, a cassette, a
 * checkpoint; how a plan opens them; and what status.json says.
 */
#include "src/pipeline/status.h"
#include "tests/collect_world.h"

#include <algorithm>
#include <atomic>
#include <filesystem>

#include <sys/stat.h>

namespace
{

/* A plan with a teacher, as far as sources read it. */
struct Planned {
	struct plan plan = {};
	struct source_options options = {};
	struct source source = {};
	struct err err = {};
	std::vector<const char *> words;
	bool opened = false;

	explicit Planned(World &world, int64_t kind)
	{
		world.teacher.kind = kind;
		plan.teacher = world.teacher;
		plan.seed = 1;
		options.voice = &world.voice;
	}
	Planned(const Planned &) = delete;
	~Planned()
	{
		close();
	}
	int open()
	{
		close();
		err_clear(&err);
		opened = !source_open(&source, &plan, &options, &err);
		return opened ? 0 : err.code;
	}
	void close()
	{
		if (opened)
			source_close(&source);
		opened = false;
	}
	void command(const std::vector<const char *> &argv)
	{
		words = argv;
		plan.teacher.command.n = words.size();
		words.push_back(nullptr);
		plan.teacher.command.list = words.data();
	}
};

/* No byte of the key in any file of a run. */
void expect_no_key(const World &world)
{
	for (const auto &entry : std::filesystem::recursive_directory_iterator(world.run.path))
		EXPECT_FALSE(entry.is_regular_file() && shows_key(read_file(entry.path().string()))) << entry.path();
	EXPECT_FALSE(shows_key(world.err.message));
	for (const std::string &line : world.said)
		EXPECT_FALSE(shows_key(line));
}

std::string question_of(const std::string &request)
{
	size_t at = request.find("question "), end = request.find('"', at);
	return at == std::string::npos ? "" : request.substr(at + 9, end - at - 9);
}

/* ---- a server -------------------------------------------------------------------------------- */

TEST(CollectServer, AnswersAreBoughtAndTheKeyStaysUnseen)
{
	World world(12, 14);
	std::atomic<int> served{0};
	/* It tells the key to everybody: in a header, in an answer, in an error. */
	Mock mock([&served](Connection &c) {
		if (!c.read_request())
			return;
		std::string id = question_of(c.request), key = CANARY;
		bool third = ++served == 3;
		if (third)
			c.send(reply("500 Oops", "X-Debug: " + key + "\r\n", error_body("key " + key, "null", "null")));
		else if (id == "5")
			c.send(reply("200 OK", "", answer("\"content\":\"your key is " + key + "\"", "\"length\"")));
		else
			c.send(reply("200 OK", "x-request-id: " + key + "\r\n",
				     answer("\"content\":\"" + text_of(id) + "\"")));
	});
	Planned planned(world, TEACHER_OPENAI);
	std::string url = mock.url() + "/";
	planned.plan.teacher.base_url = url.c_str();
	planned.plan.teacher.api_key_env = "COLLECT_TEST_KEY";
	struct plan_pair header = {"X-Team", "blue", false, false};
	planned.plan.teacher.extra_headers = {&header, 1};
	setenv("COLLECT_TEST_KEY", CANARY, 1);
	testing::internal::CaptureStderr();
	ASSERT_EQ(planned.open(), 0) << planned.err.message;
	EXPECT_EQ(getenv("COLLECT_TEST_KEY"), nullptr);
	EXPECT_EQ(std::string(planned.source.host), "http://127.0.0.1:" + std::to_string(mock.port));
	EXPECT_STREQ(planned.source.model, "m");
	EXPECT_EQ(world.collect(*planned.source.teacher), 0) << world.err.message;
	EXPECT_EQ(mock.receipts, 13);
	EXPECT_EQ(world.counts.unusable, 1);
	EXPECT_EQ(world.counts.in_doubt, 1);
	EXPECT_EQ(world.answers().size(), 11u);
	std::set<std::string> ids;
	for (const std::string &request : mock.requests()) {
		EXPECT_NE(request.find("Authorization: Bearer " + std::string(CANARY)), std::string::npos);
		EXPECT_NE(request.find("X-Team: blue"), std::string::npos);
		size_t at = request.find("X-Client-Request-Id: ");
		ASSERT_NE(at, std::string::npos);
		EXPECT_TRUE(ids.insert(request.substr(at, request.find("\r\n", at) - at)).second);
	}
	struct status_domain domains[] = {{"acq", 4}, {"earn", 8}};
	struct status status = {};
	status.step = "annotate";
	status.domain = domains;
	status.l = 2;
	status.seconds_left = -1;
	ASSERT_NE(world.open(*planned.source.teacher), nullptr);
	EXPECT_EQ(status_write(world.run.path.c_str(), world.collector.ledger, &status, &world.err), 0);
	ledger_close(world.collector.ledger);
	world.expect_promises(mock.receipts);
	EXPECT_FALSE(shows_key(testing::internal::GetCapturedStderr()));
	expect_no_key(world);
}

/* A header that takes its value from a variable is a key by another name. */
TEST(CollectServer, SecretHeadersStayUnseen)
{
	World world(6, 12);
	Mock mock([](Connection &c) {
		if (!c.read_request())
			return;
		std::string id = question_of(c.request), key = CANARY;
		c.send(id == "3" ? reply("401 No", "", error_body("wrong key " + key, "null", "null"))
				 : reply("200 OK", "x-request-id: " + key + "\r\n", answer("\"content\":\"" + key + " is at https://b.example\"")));
	});
	Planned planned(world, TEACHER_OPENAI);
	std::string url = mock.url();
	planned.plan.teacher.base_url = url.c_str();
	planned.plan.teacher.api_key_env = "";
	struct plan_pair headers[] = {{"X-Team", "blue", false, false}, {"api-key", CANARY, true, true}, {"X-Site", "https://a.example/", true, false}};
	planned.plan.teacher.extra_headers = {headers, 3};
	ASSERT_EQ(planned.open(), 0) << planned.err.message;
	EXPECT_EQ(world.collect(*planned.source.teacher), ERR_NOPERM);
	for (const std::string &request : mock.requests())
		EXPECT_NE(request.find("api-key: " + std::string(CANARY)), std::string::npos);
	EXPECT_NE(world.answers().at(0).find("[key] is at https://b.example"), std::string::npos) << world.answers().at(0);
	expect_no_key(world);
}

/* A run reads its own plan after the key: what a header is made of must still be there. */
TEST(CollectServer, AVariableOfAHeaderStays)
{
	World world(2, 4);
	Planned planned(world, TEACHER_OPENAI);
	std::string bearer = std::string("Bearer ") + CANARY;
	struct plan_pair headers[] = {{"X-Team", "blue", false, false}, {"api-key", bearer.c_str(), true, true}};
	struct teacher_key key = {};
	planned.plan.teacher.api_key_env = "COLLECT_TEST_KEY";
	for (size_t n = 1; n <= 2; n++) {
		planned.plan.teacher.extra_headers = {headers, n};
		setenv("COLLECT_TEST_KEY", CANARY, 1);
		ASSERT_EQ(source_read_key(&key, &planned.plan.teacher, true, &planned.err), 0) << planned.err.message;
		EXPECT_STREQ(key.text, CANARY);
		EXPECT_STREQ(getenv("COLLECT_TEST_KEY"), n == 2 ? CANARY : nullptr);
		teacher_key_release(&key);
	}
	unsetenv("COLLECT_TEST_KEY");
}

/* The variable is unset once it is read; what was read serves every source. */
TEST(CollectServer, AKeyIsLent)
{
	World world(2, 4);
	Mock mock([](Connection &c) {
		if (c.read_request())
			c.send(reply("200 OK", "", answer("\"content\":\"" + text_of(question_of(c.request)) + "\"")));
	});
	Planned planned(world, TEACHER_OPENAI);
	std::string url = mock.url();
	struct teacher_key key = {};
	planned.plan.teacher.base_url = url.c_str();
	planned.plan.teacher.api_key_env = "COLLECT_TEST_KEY";
	setenv("COLLECT_TEST_KEY", CANARY, 1);
	ASSERT_EQ(source_read_key(&key, &planned.plan.teacher, true, &planned.err), 0) << planned.err.message;
	planned.options.key = &key;
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(planned.open(), 0) << planned.err.message;
		planned.close();
	}
	ASSERT_EQ(planned.open(), 0) << planned.err.message;
	EXPECT_EQ(world.collect(*planned.source.teacher), 0) << world.err.message;
	EXPECT_NE(mock.requests().at(0).find("Authorization: Bearer " + std::string(CANARY)), std::string::npos);
	planned.close();
	teacher_key_release(&key);
}

TEST(CollectServer, KeyAndAddressAreChecked)
{
	World world(1, 1);
	Planned planned(world, TEACHER_OPENAI);
	planned.plan.teacher.base_url = "https://api.example/v1";
	planned.plan.teacher.api_key_env = "COLLECT_TEST_NO_SUCH_KEY";
	EXPECT_EQ(planned.open(), ERR_NOPERM);
	planned.plan.teacher.api_key_file = "/nonexistent/key";
	EXPECT_EQ(planned.open(), ERR_NOPERM) << planned.err.message;
	Temporary dir;
	write_file(dir / "key", "file-key-0123456789\n");
	chmod((dir / "key").c_str(), 0600);
	std::string file = dir / "key";
	planned.plan.teacher.api_key_file = file.c_str();
	EXPECT_EQ(planned.open(), 0) << planned.err.message;
	EXPECT_STREQ(planned.source.key.text, "file-key-0123456789");
	EXPECT_STREQ(planned.source.host, "https://api.example");
	planned.plan.teacher.api_key_file = nullptr;
	planned.plan.teacher.api_key_env = "";
	EXPECT_EQ(planned.open(), 0) << "an empty name asks for no key: " << planned.err.message;
	EXPECT_EQ(planned.source.key.text, nullptr);
	planned.plan.teacher.base_url = "HTTPS://API.Example:8443/v1?x=1";
	EXPECT_EQ(planned.open(), 0) << planned.err.message;
	EXPECT_STREQ(planned.source.host, "https://api.example:8443");
	planned.plan.teacher.base_url = "http://api.example/v1";
	EXPECT_EQ(planned.open(), ERR_CONFIG);
	planned.options.allow_http = true;
	EXPECT_EQ(planned.open(), 0) << planned.err.message;
	planned.plan.teacher.ca_file = "/nonexistent/ca.pem";
	EXPECT_EQ(planned.open(), ERR_NOINPUT);
	EXPECT_NE(std::string(planned.err.message).find("ca.pem"), std::string::npos);
	planned.plan.teacher.base_url = nullptr;
	EXPECT_EQ(planned.open(), ERR_CONFIG);
	std::string model(300, 'm');
	planned.plan.teacher.model = model.c_str();
	EXPECT_EQ(planned.open(), ERR_CONFIG);
}

/* ---- a program ------------------------------------------------------------------------------------ */

const char *const PROGRAM = R"sh(#!/bin/sh
while read -r line; do
	id=$(printf '%s' "$line" | sed 's/^{"id":\([0-9]*\),.*/\1/')
	q=$(printf '%s' "$line" | sed 's/.*question \([0-9]*\)".*/\1/')
	case "$q$1" in
	3) printf '{"id":%s,"error":"not today"}\n' "$id" ;;
	5) printf '{"id":"%s","content":"answer to 5","error":false}\n' "$id" ;;
	4) printf '{"id":%s,"content":"cut","finish_reason":"length"}\n' "$id" ;;
	*) printf '{"id":%s,"content":"answer to %s","usage":{"prompt_tokens":3,"completion_tokens":4}}\n' "$id" "$q" ;;
	esac
done
)sh";

TEST(CollectProgram, AnswersInLines)
{
	World world(8, 12);
	world.options.max_retries = 0;
	Temporary dir;
	std::string path = dir / "teacher";
	write_file(path, PROGRAM);
	chmod(path.c_str(), 0700);
	Planned planned(world, TEACHER_COMMAND);
	EXPECT_EQ(planned.open(), ERR_CONFIG);
	planned.command({path.c_str()});
	ASSERT_EQ(planned.open(), 0) << planned.err.message;
	EXPECT_STREQ(planned.source.host, "command");
	ASSERT_EQ(world.collect(*planned.source.teacher), 0) << world.err.message;
	EXPECT_EQ(world.counts.answered, 6);
	EXPECT_EQ(world.counts.unusable, 1);
	EXPECT_EQ(world.counts.in_doubt, 1);
	EXPECT_EQ(world.counts.parked, 1);
	EXPECT_EQ(world.attempts()[0].usage, "{\"prompt_tokens\":3,\"completion_tokens\":4}");
	EXPECT_EQ(world.answers().size(), 6u);
	world.expect_promises(8);
}

/* What is no answer ends the run, after the answers that are on their way. */
TEST(CollectProgram, NonsenseEndsTheRun)
{
	World world(8, 12);
	Planned planned(world, TEACHER_COMMAND);
	planned.command({"sh", "-c", "read line; echo hello; sleep 1"});
	ASSERT_EQ(planned.open(), 0) << planned.err.message;
	world.signals = 0;
	struct ledger *ledger = world.open(*planned.source.teacher);
	ASSERT_NE(ledger, nullptr);
	double began = seconds_now();
	EXPECT_EQ(collect_step(&world.collector, 0, "annotate", world.queries.data(), 8, &world.counts, &world.err),
		  -1);
	EXPECT_EQ(world.err.code, ERR_PROTOCOL) << world.err.message;
	EXPECT_LT(seconds_now() - began, 20);
	ledger_close(ledger);
	EXPECT_EQ(world.units().used, 1); /* the first goes alone */
}

TEST(CollectProgram, NoSuchProgram)
{
	World world(1, 1);
	Planned planned(world, TEACHER_COMMAND);
	planned.command({"no-such-program-of-this-test"});
	EXPECT_EQ(planned.open(), ERR_NOINPUT);
}

/* What does not answer is waited for as long as the plan says, of a server and of a program. */
TEST(CollectProgram, TimeoutIsThePlans)
{
	Mock mock([](Connection &c) {
		c.read_request();
		c.hang();
	});
	std::string url = mock.url();
	for (int64_t kind : {TEACHER_OPENAI, TEACHER_COMMAND}) {
		World world(1, 1);
		world.teacher.timeout = 1;
		world.options.max_retries = 0;
		Planned planned(world, kind);
		planned.plan.teacher.base_url = url.c_str();
		planned.plan.teacher.api_key_env = "";
		planned.command({"sh", "-c", "read line; exec sleep 20"});
		ASSERT_EQ(planned.open(), 0) << planned.err.message;
		double began = seconds_now();
		EXPECT_EQ(world.collect(*planned.source.teacher), 0) << world.err.message;
		EXPECT_LT(seconds_now() - began, 10) << planned.source.host;
		EXPECT_EQ(world.counts.in_doubt, 1);
		EXPECT_EQ(world.counts.parked, 1);
	}
}

/* ---- a cassette --------------------------------------------------------------------------------------- */

TEST(CollectCassette, ReplaysWhatWasBought)
{
	World bought(30, 40), replayed(30, 40);
	Fake fake([](const Asking &a) {
		if (a.sends == 0 && a.id == "7")
			return refused(500);
		if (a.sends == 0 && a.id == "8")
			return refused(503);
		if (a.id == "9")
			return Reaction{200, "", answer("\"content\":\"cut\"", "\"length\"")};
		return a.id == "10" ? refused(400) : good(a.id);
	});
	ASSERT_EQ(bought.collect(fake), 0) << bought.err.message;
	Temporary dir;
	std::string cassette = dir / "cassette.jsonl";
	struct ledger *ledger = bought.look();
	ASSERT_EQ(ledger_export(ledger, cassette.c_str(), &bought.err), 0) << bought.err.message;
	ledger_close(ledger);

	Planned planned(replayed, TEACHER_RECORDED);
	EXPECT_EQ(planned.open(), ERR_CONFIG);
	planned.plan.teacher.cassette = cassette.c_str();
	ASSERT_EQ(planned.open(), 0) << planned.err.message;
	EXPECT_STREQ(planned.source.host, "recorded");
	ASSERT_EQ(replayed.collect(*planned.source.teacher), 0) << replayed.err.message;
	EXPECT_EQ(replayed.answers(), bought.answers());
	struct ledger_counts a = bought.units(), b = replayed.units();
	EXPECT_EQ(b.used, a.used);
	EXPECT_EQ(b.wire, a.wire);
	EXPECT_EQ(b.unusable, a.unusable);
	EXPECT_EQ(b.in_doubt, a.in_doubt);
	EXPECT_EQ(b.rejected, a.rejected);
	std::vector<World::Attempt> then = bought.attempts(), now = replayed.attempts();
	ASSERT_EQ(now.size(), then.size());
	for (size_t i = 0; i < now.size(); i++)
		EXPECT_EQ(now[i].id + now[i].state + now[i].reason, then[i].id + then[i].state + then[i].reason);
}

/* A gap in the recording: an error that leaves no trace, or a rejection that costs no unit. */
TEST(CollectCassette, MissingAnswer)
{
	World world(4, 4);
	Temporary dir;
	std::string path = dir / "c.jsonl", rows;
	for (int i = 0; i < 3; i++)
		rows += "{\"kind\":\"annotate\",\"domain\":\"" + std::string(i % 3 ? "earn" : "acq") +
			"\",\"input\":\"input " + std::to_string(i) + "\",\"rationale\":\"answer to " +
			std::to_string(i) + "\"}\n";
	write_file(path, rows);
	Planned planned(world, TEACHER_RECORDED);
	planned.plan.teacher.cassette = path.c_str();
	ASSERT_EQ(planned.open(), 0) << planned.err.message;
	EXPECT_EQ(world.collect(*planned.source.teacher), ERR_DATA);
	EXPECT_NE(std::string(world.err.message).find("on_missing"), std::string::npos) << world.err.message;
	planned.plan.teacher.on_missing = MISSING_SKIP;
	ASSERT_EQ(planned.open(), 0) << planned.err.message;
	EXPECT_EQ(world.collect(*planned.source.teacher), 0) << world.err.message;
	EXPECT_EQ(world.answers().size(), 3u);
	EXPECT_EQ(world.counts.rejected, 1);
	EXPECT_EQ(world.units().used, 3);
	EXPECT_EQ(world.units().wire, 4);
	world.expect_promises(3);
}

/* ---- status.json ------------------------------------------------------------------------------------------- */

TEST(CollectStatus, SaysWhatTheLedgerSays)
{
	World world(9, 12);
	world.teacher.price_input = world.teacher.price_output = 1;
	Fake fake([](const Asking &a) {
		Reaction r = good(a.id);
		if (a.id == "0")
			r.body = answer("\"content\":\"cut\"", "\"length\"");
		return r;
	});
	ASSERT_NE(world.open(fake), nullptr) << world.err.message;
	EXPECT_EQ(collect_step(&world.collector, 0, "annotate", world.queries.data(), 9, &world.counts, &world.err), 0);
	struct status_domain domains[] = {{"earn", 6}, {"acq", 3}, {"none", 2}};
	struct status status = {};
	status.stage = 2;
	status.step = "annotate";
	status.has_cost = true;
	status.seconds_left = 90;
	status.domain = domains;
	status.l = 3;
	EXPECT_EQ(status_write(world.run.path.c_str(), world.collector.ledger, &status, &world.err), 0);
	std::string text = read_file(world.run / "status.json");
	text.erase(std::remove_if(text.begin(), text.end(), ::isspace), text.end());
	EXPECT_EQ(text,
		  "{\"ledger\":{\"budget\":12,\"used\":9,\"armed\":0,\"answered\":8,\"unusable\":1,\"in_doubt\":0,"
		  "\"released\":0,\"wire\":9},\"stage\":2,\"step\":\"annotate\",\"cost\":8.1e-05,\"seconds_left\":90,"
		  "\"domains\":[{\"domain\":\"earn\",\"required\":6,\"answered\":6,\"unusable\":0},"
		  "{\"domain\":\"acq\",\"required\":3,\"answered\":2,\"unusable\":1},"
		  "{\"domain\":\"none\",\"required\":2,\"answered\":0,\"unusable\":0}]}");
	status.has_cost = false;
	status.seconds_left = -1;
	EXPECT_EQ(status_write(world.run.path.c_str(), world.collector.ledger, &status, &world.err), 0);
	text = read_file(world.run / "status.json");
	EXPECT_NE(text.find("\"cost\": null"), std::string::npos);
	EXPECT_NE(text.find("\"seconds_left\": null"), std::string::npos);
	EXPECT_EQ(status_write("/nonexistent", world.collector.ledger, &status, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_CANTCREATE) << world.err.message;
	ledger_close(world.collector.ledger);
}

/* ---- a checkpoint ---------------------------------------------------------------------------------------- */

std::string tiny_directory()
{
	const char *source = getenv("TEST_SRCDIR");
	return std::string(source ? source : ".") + "/data/tiny";
}

struct LocalCase {
	int64_t at_once, slots;
};

/* The same answers however many are asked together. */
TEST(CollectCheckpoint, AnswersDependOnTheQuestionAlone)
{
	std::vector<std::string> first;
	std::string directory = tiny_directory();
	for (const LocalCase &c : {LocalCase{1, 1}, {4, 4}, {4, 2}, {3, 64}}) {
		World world(6, 8);
		for (std::string &body : world.bodies)
			body.replace(body.find("\"temperature\":0"), 15, "\"temperature\":1.5"), body.shrink_to_fit();
		for (size_t i = 0; i < world.queries.size(); i++)
			world.queries[i].body = world.bodies[i].data(),
			world.queries[i].body_n = world.bodies[i].size();
		world.teacher.max_concurrent_requests = c.at_once;
		Planned planned(world, TEACHER_LOCAL);
		EXPECT_EQ(planned.open(), ERR_CONFIG);
		planned.plan.teacher.model_name_or_path = directory.c_str();
		planned.plan.student.backend = "reference";
		planned.plan.student.slots = c.slots;
		ASSERT_EQ(planned.open(), 0) << planned.err.message;
		EXPECT_STREQ(planned.source.host, "local");
		EXPECT_STREQ(planned.source.model, "tiny");
		ASSERT_EQ(world.collect(*planned.source.teacher), 0) << world.err.message;
		EXPECT_EQ(world.counts.answered + world.counts.unusable, 6);
		std::vector<std::string> here;
		struct ledger *ledger = world.look();
		auto visit = [](void *context, const struct ledger_row *row, struct err *) {
			static_cast<std::vector<std::string> *>(context)->push_back(
				std::string(row->query.example_id) + row->state +
				std::string(row->content, row->content_n) + (row->usage ? row->usage : ""));
			return 0;
		};
		EXPECT_EQ(ledger_attempts(ledger, visit, &here, &world.err), 0);
		ledger_close(ledger);
		if (first.empty())
			first = here;
		EXPECT_EQ(here, first);
		EXPECT_EQ(std::set<std::string>(here.begin(), here.end()).size(), 6u);
	}
}

/* One prompt asked under several ordinals is as many draws. */
TEST(CollectCheckpoint, OrdinalsDrawAnew)
{
	std::string directory = tiny_directory();
	World world(12, 12);
	std::string body = world.bodies[0];
	body.replace(body.find("\"temperature\":0"), 15, "\"temperature\":1.5");
	for (size_t i = 0; i < world.queries.size(); i++) {
		world.queries[i].example_id = "0";
		world.queries[i].ordinal = i;
		world.queries[i].body = body.data();
		world.queries[i].body_n = body.size();
	}
	Planned planned(world, TEACHER_LOCAL);
	planned.plan.teacher.model_name_or_path = directory.c_str();
	planned.plan.student.backend = "reference";
	ASSERT_EQ(planned.open(), 0) << planned.err.message;
	ASSERT_EQ(world.collect(*planned.source.teacher), 0) << world.err.message;
	std::set<std::string> texts;
	struct ledger *ledger = world.look();
	auto visit = [](void *context, const struct ledger_row *row, struct err *) {
		static_cast<std::set<std::string> *>(context)->insert(std::string(row->content, row->content_n));
		return 0;
	};
	EXPECT_EQ(ledger_attempts(ledger, visit, &texts, &world.err), 0);
	ledger_close(ledger);
	EXPECT_EQ(texts.size(), 12u);
}

TEST(CollectCheckpoint, NoSuchModel)
{
	World world(1, 1);
	Planned planned(world, TEACHER_LOCAL);
	planned.plan.teacher.model_name_or_path = "/nonexistent/model";
	planned.plan.student.backend = "reference";
	EXPECT_NE(planned.open(), 0);
	EXPECT_EQ(planned.err.code, ERR_NOINPUT) << planned.err.message;
}

} // namespace
