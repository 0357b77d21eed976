// SPDX-License-Identifier: Apache-2.0
/*
 * `baldistill run` itself with a server for its teacher: what the command line
 * and the plan say of a teacher reaches the requests and the ledger.
 */
#include <csignal>

#include <sys/wait.h>

#include "tests/collect_world.h"

namespace
{

/* A run of one stage of data/tiny, up to all that it buys. */
struct Program {
	QuickDirectory quick;
	Temporary folder;
	std::string binary, url;

	explicit Program(const Mock &mock) : binary(getenv("BALDISTILL") ? getenv("BALDISTILL") : ""), url(mock.url())
	{
	}
	/* keys: more of the teacher, "max_wait: 1, …". */
	void plan(int budget, const std::string &keys = "", const std::string &method = "random-finetune-cot")
	{
		const char *source = getenv("TEST_SRCDIR");
		std::string tiny = std::string(source ? source : ".") + "/data/tiny";
		write_file(folder / "plan.yaml", "task: {type: classification, train: " + tiny + "/examples.jsonl}\n" +
							 "method: " + method + "\nbudget: " + std::to_string(budget) +
							 "\nstages: 1\nstudent: {model_name_or_path: " + tiny +
							 ", dtype: float32}\noutput_dir: run\n" +
							 "teacher: {kind: openai, base_url: \"" + url + "\", model: m" +
							 (keys.empty() ? "" : ", ") + keys + "}\n");
	}
	pid_t start(const char *option = nullptr)
	{
		std::string state = folder / "state", file = folder / "plan.yaml";
		fflush(nullptr);
		pid_t child = fork();
		if (child)
			return child;
		setenv("BALDISTILL_STATE_DIR", state.c_str(), 1);
		setenv("OPENAI_API_KEY", CANARY, 1);
		execl(binary.c_str(), "baldistill", "run", "--quiet", file.c_str(), "--until", "0.synthesise", option,
		      nullptr);
		_exit(127);
	}
	static int status_of(pid_t child)
	{
		int status = 0;
		waitpid(child, &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	}
	int run(const char *option = nullptr)
	{
		return status_of(start(option));
	}
	struct ledger_counts units()
	{
		struct err err = {};
		return units_of(inspect_ledger(folder / "run", nullptr, err));
	}
};

/* A run that only a server can tell about needs the program. */
#define NEED_PROGRAM(program)                                                                                          \
	if (access((program).binary.c_str(), X_OK))                                                                    \
	GTEST_SKIP() << "BALDISTILL names no program"

const std::string NO = error_body("no", "null", "null");
const std::string GRAIN = reply("200 OK", "", answer("\"content\":\"The answer is grain.\""));

void say_grain(Connection &c)
{
	if (c.read_request())
		c.send(GRAIN);
}

TEST(CollectRun, StrictCountsWhatWasRefused)
{
	for (bool strict : {false, true}) {
		Mock mock([](Connection &c) {
			if (c.read_request())
				c.send(reply("401 No", "", NO));
		});
		Program program(mock);
		NEED_PROGRAM(program);
		program.plan(3);
		EXPECT_EQ(program.run(strict ? "--strict" : nullptr), ERR_NOPERM);
		EXPECT_EQ(program.units().wire, 1);
		EXPECT_EQ(program.units().used, strict) << "what a teacher says it did not bill";
	}
}

/* A wait that the teacher asked for outlives the run, but no longer than max_wait and a minute: clocks are set back. */
TEST(CollectRun, AWaitIsKeptAsLongAsMaxWait)
{
	Mock mock([](Connection &c) {
		if (c.read_request())
			c.send(c.mock.receipts > 1 ? GRAIN : reply("429 Slow", "Retry-After: 90\r\n", NO));
	});
	Program program(mock);
	NEED_PROGRAM(program);
	program.plan(1);
	for (int start = 0; start < 2; start++) {
		pid_t child = program.start();
		for (int i = 0; i < 2000 && !mock.receipts; i++)
			usleep(10000);
		usleep(start ? 1500000 : 0);
		kill(child, SIGTERM);
		int status = Program::status_of(child);
		EXPECT_TRUE(status == ERR_TEMPFAIL || (start && status == -SIGTERM))
			<< status; /* the second may be slow to begin */
		EXPECT_EQ(mock.receipts, 1) << "start " << start;
	}
	program.plan(1, "max_wait: 1");
	double began = seconds_now();
	EXPECT_EQ(program.run(), 0);
	EXPECT_LT(seconds_now() - began, 60) << "of the 90 s";
	EXPECT_EQ(mock.receipts, 2);
	EXPECT_EQ(program.units().answered, 1);
}

TEST(CollectRun, RequestsAreAsThePlanSays)
{
	Mock mock(say_grain);
	Program program(mock);
	NEED_PROGRAM(program);
	program.plan(18,
		     "max_tokens: 77, max_tokens_key: max_completion_tokens, temperature: {annotate: 0.25, synthesise: "
		     "0.75}, extra_headers: {X-Team: blue}, extra_body: {top_p: 0.5}, api_key_env: TEAM_KEY",
		     "balance-finetune-cot");
	setenv("TEAM_KEY", "key-of-the-team", 1);
	EXPECT_EQ(program.run(), 0);
	unsetenv("TEAM_KEY");
	size_t made = 0;
	for (const std::string &request : mock.requests()) {
		for (const char *part : {"Authorization: Bearer key-of-the-team\r\n", "X-Team: blue\r\n",
					 "\"model\":\"m\"", "\"max_completion_tokens\":77,", "\"top_p\":0.5"})
			EXPECT_NE(request.find(part), std::string::npos) << part << " in " << request;
		bool is_made = request.find("\"temperature\":0.75,") != std::string::npos;
		EXPECT_NE(request.find("\"temperature\":0.25,") != std::string::npos, is_made) << request;
		made += is_made;
	}
	EXPECT_EQ(mock.receipts, 18);
	EXPECT_EQ(made, 4u) << "5, 5, 4 and 4 of 16, 6, 3 and 1";
}

/* Prices that are written later count for what was bought before, by what the server said of it. */
TEST(CollectRun, PricesCountWhatWasBought)
{
	Mock mock(say_grain);
	Program program(mock);
	NEED_PROGRAM(program);
	program.plan(2);
	EXPECT_EQ(program.run(), 0);
	EXPECT_EQ(program.units().cost, 0);
	program.plan(2, "prices: {input: 1.0e+6, output: 3.0e+6}");
	EXPECT_EQ(program.run(), 0);
	EXPECT_EQ(program.units().cost, 2 * (7 + 3 * 2) * 1000000000LL);
	EXPECT_EQ(mock.receipts, 2);
}

} // namespace
