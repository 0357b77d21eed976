// SPDX-License-Identifier: Apache-2.0
/*
 * The loop that spends money, against teachers that fail in every way; each
 * test ends with the ledger's promises.
 */
#include "tests/collect_world.h"
#include "tests/ledger_disk.h"

namespace
{

Reaction always_good(const Asking &a)
{
	return good(a.id);
}

/* ---- the order of things ------------------------------------------------------------------ */

TEST(CollectOrder, ArrivalDecidesNothing)
{
	std::vector<std::string> first;
	for (unsigned seed = 1; seed <= 5; seed++) {
		World world(40, 40);
		Fake fake(always_good);
		fake.shuffled = true;
		fake.latency = 0.001;
		fake.random.seed(seed);
		ASSERT_EQ(world.collect(fake), 0) << world.err.message;
		std::vector<std::string> answers = world.answers();
		EXPECT_EQ(answers.size(), 40u);
		if (seed == 1)
			first = answers;
		EXPECT_EQ(answers, first);
		EXPECT_EQ(fake.most_open, 4u);
		EXPECT_EQ(world.counts.asked, 40);
		EXPECT_EQ(world.counts.answered, 40);
		EXPECT_EQ(world.counts.parked, 0);
		world.expect_promises(fake);
	}
}

TEST(CollectOrder, SettledStepReturnsAtOnce)
{
	World world(10, 12);
	Fake fake(always_good);
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(fake.order.size(), 10u);
	EXPECT_EQ(world.counts.asked, 0);
	EXPECT_EQ(world.counts.parked, 0);
}

TEST(CollectOrder, NoQueriesAtAll)
{
	World world(0, 12);
	Fake fake(always_good);
	EXPECT_EQ(world.collect(fake), 0) << world.err.message;
}

TEST(CollectOrder, OtherQueriesAreRefused)
{
	World world(10, 12);
	Fake fake(always_good);
	fake.refuse_ask_after = 3;
	EXPECT_EQ(world.collect(fake), ERR_DATA);
	world.bodies[4][60] ^= 1;
	EXPECT_EQ(world.collect(fake), ERR_LEDGER) << world.err.message;
}

TEST(CollectOrder, DoubtIsAskedAgainAfterAllOthers)
{
	World world(10, 12);
	world.teacher.max_concurrent_requests = 1;
	Fake fake([](const Asking &a) { return a.sends == 0 && (a.id == "0" || a.id == "1") ? lost() : good(a.id); });
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	ASSERT_EQ(fake.order.size(), 12u);
	EXPECT_EQ(std::set<std::string>(fake.order.begin(), fake.order.begin() + 10).size(), 10u);
	EXPECT_EQ(fake.sends["0"] + fake.sends["1"], 4);
	EXPECT_EQ(world.answers().size(), 10u);
	EXPECT_EQ(world.counts.in_doubt, 2);
	EXPECT_EQ(world.units().used, 12);
	world.expect_promises(fake);
}

/* The stage's units are the bound: what stays in doubt is dropped, counted. */
TEST(CollectOrder, DoubtBeyondTheStageIsParked)
{
	World world(10, 20);
	world.cum = 11;
	Fake fake([](const Asking &a) { return a.sends == 0 && a.asked < 3 ? lost() : good(a.id); });
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.answers().size(), 8u);
	EXPECT_EQ(world.counts.parked, 2);
	EXPECT_EQ(world.units().used, 11);
	EXPECT_EQ(fake.billed, 11);
	world.expect_promises(fake);
}

/* A refusal gives its unit back, and the stage can use it. What reached nobody is no send either. */
TEST(CollectOrder, ReleasedUnitIsUsedAgain)
{
	World world(10, 10);
	Fake fake([](const Asking &a) { return a.sends == 0 && a.id == "3" ? unconnected() : good(a.id); });
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.answers().size(), 10u);
	EXPECT_EQ(world.counts.released, 1);
	EXPECT_EQ(world.units().wire, 10);
	world.expect_promises(fake);
}

/* The bound of the stage was met while the request was on its way that gives its unit back. */
TEST(CollectOrder, ReleasedUnitOpensTheStageAgain)
{
	World world(12, 20);
	world.cum = 10;
	Fake fake([](const Asking &a) { return a.asked == 9 ? unconnected() : good(a.id); });
	fake.latency = 0.02;
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.answers().size(), 10u);
	EXPECT_EQ(world.counts.parked, 2);
	world.expect_promises(fake);
}

TEST(CollectOrder, BilledRetriesAreBounded)
{
	World world(6, 60);
	world.teacher.max_concurrent_requests = 1;
	Fake fake([](const Asking &a) { return a.id == "5" ? refused(500) : good(a.id); });
	world.options.max_retries = 1;
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(fake.sends["5"], 2);
	EXPECT_EQ(world.counts.parked, 1);
	world.expect_promises(fake);
}

TEST(CollectOrder, ChangedRequestIsAskedAgainAtOnce)
{
	World world(3, 3);
	world.teacher.max_concurrent_requests = 1;
	Fake fake([](const Asking &a) {
		return a.asked ? good(a.id)
			       : Reaction{400,
					  "",
					  error_body("'max_tokens' is not supported", "null",
						     "\"unsupported_parameter\"", "\"max_tokens\""),
					  TEACHER_REPLIED,
					  true,
					  false};
	});
	double began = seconds_now();
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_LT(seconds_now() - began, 0.2);
	EXPECT_EQ(world.answers().size(), 3u);
	EXPECT_EQ(world.said.size(), 1u);
	world.expect_promises(fake);
}

TEST(CollectOrder, FinalRefusalIsNotRepeated)
{
	World world(10, 12);
	Fake fake([](const Asking &a) {
		if (a.id == "1")
			return refused(400);
		if (a.id == "2")
			return refused(429, "HTTP/1.1 429 no\r\nx-should-retry: false\r\n\r\n");
		if (a.id == "3")
			return refused(418); /* in doubt, never to be asked again */
		return good(a.id);
	});
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(fake.order.size(), 11u) << "one rejection follows another: it is asked once more";
	EXPECT_EQ(world.counts.rejected, 2);
	EXPECT_EQ(world.counts.in_doubt, 1);
	EXPECT_EQ(world.counts.parked, 1);
	EXPECT_EQ(world.units().rejected, 2);
	EXPECT_EQ(world.units().used, 8);
	world.expect_promises(fake);
}

/* ---- waiting ----------------------------------------------------------------------------------- */

TEST(CollectWait, RetryAfterHoldsEveryRequest)
{
	World world(10, 12);
	world.teacher.max_concurrent_requests = 1;
	Fake fake([](const Asking &a) {
		return a.asked == 2 ? refused(429, "HTTP/1.1 429 slow\r\nRetry-After: 1\r\n\r\n") : good(a.id);
	});
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	ASSERT_EQ(fake.times.size(), 11u);
	EXPECT_GE(fake.times[3] - fake.times[2], 1.0);
	EXPECT_LT(fake.times[3] - fake.times[2], 1.6);
	EXPECT_LT(fake.times[2] - fake.times[0], 0.5);
	EXPECT_EQ(world.answers().size(), 10u);
	EXPECT_EQ(world.units().used, 10);
	world.expect_promises(fake);
}

TEST(CollectWait, RequestsPerMinuteAreKept)
{
	World world(6, 12);
	world.teacher.max_requests_per_minute = 600;
	Fake fake(always_good);
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_GE(fake.times[5] - fake.times[0], 0.4);
	EXPECT_EQ(fake.order.size(), 6u);
}

/* A request's bound is a third of its bytes and max_tokens: about 110 tokens, a fifth of a second here. */
TEST(CollectWait, TokensPerMinuteAreKept)
{
	World world(6, 12);
	world.teacher.max_tokens_per_minute = 33000;
	Fake fake(always_good);
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	ASSERT_EQ(fake.times.size(), 6u);
	for (size_t i = 0; i + 1 < fake.times.size(); i++)
		EXPECT_GE(fake.times[i + 1] - fake.times[i], 0.05) << i;
	EXPECT_GE(fake.times[5] - fake.times[0], 0.5);
}

TEST(CollectWait, NothingBilledNothingWaits)
{
	World world(10, 20);
	/* twelve refusals in turn would be waited for by minutes */
	Fake fake([](const Asking &a) { return a.sends < 12 && a.id == "1" ? refused(429) : good(a.id); }, false);
	double began = seconds_now();
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_LT(seconds_now() - began, 10);
	EXPECT_EQ(fake.sends["1"], 13);
	EXPECT_EQ(world.answers().size(), 10u);
}

/* ---- what ends a run -------------------------------------------------------------------------- */

struct StopCase {
	const char *name;
	int code;
	Fake::Script script;
	size_t most_asked; /* with four at once */
	const char *words;
};

class CollectStop : public ::testing::TestWithParam<StopCase>
{
};

TEST_P(CollectStop, DrainsAndGoesOnLater)
{
	const StopCase &c = GetParam();
	World world(200, 240);
	Fake fake(c.script);
	fake.latency = 0.002;
	world.teacher.max_wait = 1;
	EXPECT_EQ(world.collect(fake), c.code) << world.err.message;
	EXPECT_NE(std::string(world.err.message).find(c.words), std::string::npos) << world.err.message;
	EXPECT_LE(fake.order.size(), c.most_asked);
	EXPECT_TRUE(fake.open.empty()) << "paid requests were left behind";
	EXPECT_EQ(world.units().armed, 0);
	world.expect_promises(fake);
	Fake well(always_good);
	well.answered = fake.answered;
	ASSERT_EQ(world.collect(well), 0) << world.err.message;
	struct ledger_counts units = world.units();
	EXPECT_EQ(units.answered + units.unusable + units.rejected, 200);
	EXPECT_EQ(well.asked_again, 0);
	world.expect_promises(fake.billed + well.billed);
}

const std::string HTML = "<!DOCTYPE html><html><body>sign in</body></html>";

INSTANTIATE_TEST_SUITE_P(
	All, CollectStop,
	::testing::Values(
		StopCase{"DoubtsInARow", ERR_UNAVAILABLE, [](const Asking &) { return lost(); }, 8, "timed out"},
		StopCase{"DoubtsInAll", ERR_UNAVAILABLE,
			 [](const Asking &a) { return a.asked % 3 == 0 ? refused(502) : good(a.id); }, 40, "http 502"},
		StopCase{"Unusable", ERR_DATA,
			 [](const Asking &a) {
				 Reaction r = good(a.id);
				 if (a.asked % 4)
					 r.body = answer("\"content\":\"cut\"", "\"length\"");
				 return r;
			 },
			 24, "length"},
		StopCase{"Pages", ERR_PROTOCOL,
			 [](const Asking &a) {
				 Reaction r = good(a.id);
				 if (a.asked > 9)
					 r.body = HTML;
				 return r;
			 },
			 16, "base_url"},
		StopCase{"ErrorsWithSuccess", ERR_PROTOCOL,
			 [](const Asking &a) {
				 Reaction r = good(a.id);
				 r.body = "{\"error\":\"Unexpected endpoint or method. (POST /chat/completions)\"}";
				 return r;
			 },
			 6, "Unexpected endpoint"},
		StopCase{"AnotherRefusesInAReplyOfSuccess", ERR_QUOTA,
			 [](const Asking &a) {
				 Reaction r = good(a.id);
				 if (a.asked > 9)
					 r.body = "{\"error\":{\"code\":402,\"message\":\"Insufficient credits\"}}";
				 return r;
			 },
			 14, "Insufficient credits"},
		StopCase{"OddEnds", ERR_DATA,
			 [](const Asking &a) {
				 Reaction r = good(a.id);
				 r.body = answer("\"content\":\"x\"", "\"odd\"");
				 return r;
			 },
			 24, "finish reason, odd"},
		StopCase{"Quota", ERR_QUOTA,
			 [](const Asking &a) {
				 return a.asked < 8 ? good(a.id) : refused(429, "", "\"insufficient_quota\"");
			 },
			 12, "quota"},
		StopCase{"Key", ERR_NOPERM, [](const Asking &) { return refused(401); }, 4, "api_key"},
		StopCase{"Forbidden", ERR_NOPERM, [](const Asking &) { return refused(403); }, 4, "api_key"},
		StopCase{"NoModel", ERR_CONFIG, [](const Asking &) { return refused(404); }, 4, "teacher.model"},
		StopCase{"LongWait", ERR_TEMPFAIL,
			 [](const Asking &) { return refused(429, "HTTP/1.1 429 no\r\nRetry-After: 9999\r\n\r\n"); }, 4,
			 "max_wait"},
		StopCase{"RefusedForLong", ERR_TEMPFAIL, [](const Asking &) { return refused(429); }, 100, "max_wait"},
		StopCase{"DownForLong", ERR_UNAVAILABLE, [](const Asking &) { return unconnected(); }, 200,
			 "not connected"}),
	[](const ::testing::TestParamInfo<StopCase> &info) { return info.param.name; });

/* Three lost answers in one step and two in the next are five in a row. */
TEST(CollectStopped, CountsOverTheStepsOfAStart)
{
	World world(6, 12);
	world.teacher.max_concurrent_requests = world.options.slots = 1;
	world.teacher.max_retries = world.options.max_retries = 0;
	Fake fake([](const Asking &) { return lost(); });
	struct ledger *ledger = world.open(fake);
	ASSERT_NE(ledger, nullptr) << world.err.message;
	struct collect_query *queries = world.queries.data();
	EXPECT_EQ(collect_step(&world.collector, 0, "annotate", queries, 3, &world.counts, &world.err), 0)
		<< world.err.message;
	EXPECT_EQ(fake.order.size(), 3u);
	EXPECT_EQ(collect_step(&world.collector, 0, "synthesise", queries + 3, 3, &world.counts, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_UNAVAILABLE) << world.err.message;
	EXPECT_EQ(fake.order.size(), 5u);
	ledger_close(ledger);
}

/* A training of hours between two steps is no wait for the teacher: max_wait begins again with the step. */
TEST(CollectStopped, NotByTheTimeBetweenTwoSteps)
{
	World world(6, 12);
	world.teacher.max_wait = 1;
	Fake fake([](const Asking &a) { return a.asked == 3 ? refused(429) : good(a.id); });
	struct ledger *ledger = world.open(fake);
	ASSERT_NE(ledger, nullptr) << world.err.message;
	struct collect_query *queries = world.queries.data();
	ASSERT_EQ(collect_step(&world.collector, 0, "annotate", queries, 3, &world.counts, &world.err), 0)
		<< world.err.message;
	usleep(1200000);
	EXPECT_EQ(collect_step(&world.collector, 0, "synthesise", queries + 3, 3, &world.counts, &world.err), 0)
		<< world.err.message;
	EXPECT_EQ(fake.answered.size(), 6u);
	ledger_close(ledger);
}

/* A request of which a part went out is a send, though its unit comes back. */
TEST(CollectOrder, APartOfARequestIsASend)
{
	World world(1, 2);
	Fake fake([](const Asking &a) {
		Reaction r = a.sends ? good(a.id) : unconnected();
		r.part = a.sends ? 0 : 10;
		return r;
	});
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.units().used, 1);
	EXPECT_EQ(world.units().wire, 2);
}

/* A redirect may have been billed; it ends the run, and its query is asked again by the next. */
TEST(CollectStopped, Redirect)
{
	World world(10, 20);
	Fake fake([](const Asking &a) { return a.asked ? good(a.id) : refused(307); });
	EXPECT_EQ(world.collect(fake), ERR_PROTOCOL) << world.err.message;
	EXPECT_LE(fake.order.size(), 4u);
	Fake well(always_good);
	EXPECT_EQ(world.collect(well), 0);
	EXPECT_EQ(world.answers().size(), 10u);
	EXPECT_EQ(world.units().in_doubt, 1);
}

TEST(CollectStopped, MaxCost)
{
	World world(100, 120);
	world.teacher.price_input = 1;
	world.teacher.price_output = 2;
	/* 0.003; a send reserves more than (64 * 2) * 1000 billionths and costs (30 + 60 * 2) * 1000. */
	world.options.max_cost = 3000000;
	Fake fake([](const Asking &a) {
		Reaction r = good(a.id);
		r.body = answer("\"content\":\"" + text_of(a.id) + "\"", "\"stop\"",
				",\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":60,\"total_tokens\":90}");
		return r;
	});
	EXPECT_EQ(world.collect(fake), ERR_BUDGET) << world.err.message;
	EXPECT_NE(std::string(world.err.message).find("max_cost"), std::string::npos);
	EXPECT_EQ(world.units().cost, (int64_t)fake.order.size() * 150000);
	EXPECT_LE(world.units().cost, 3000000);
	EXPECT_GE(fake.order.size(), 18u);
	world.expect_promises(fake);
	world.options.max_cost = 100000000;
	EXPECT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.answers().size(), 100u);
	EXPECT_EQ(world.attempts()[0].usage, "{\"prompt_tokens\":30,\"completion_tokens\":60,\"total_tokens\":90}");
}

TEST(CollectStopped, UnknownUsageKeepsTheReserve)
{
	World world(1, 1);
	world.teacher.price_input = 1;
	world.teacher.price_output = 2;
	Fake fake([](const Asking &a) {
		return Reaction{200, "", answer("\"content\":\"" + text_of(a.id) + "\"", "\"stop\"", "")};
	});
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	double bytes = (double)world.bodies[0].size();
	EXPECT_EQ(world.units().cost, (int64_t)std::ceil((bytes / 3 + 64 * 2) * 1000));
	EXPECT_EQ(world.attempts()[0].usage, "");
	ASSERT_EQ(world.said.size(), 1u);
	EXPECT_NE(world.said[0].find("no counts of tokens"), std::string::npos) << world.said[0];
}

/* Counts of 0 tell nothing: the reserve stays spent. */
TEST(CollectStopped, UsageOfZeros)
{
	World world(1, 1);
	world.teacher.price_input = world.teacher.price_output = 1;
	Fake fake([](const Asking &a) {
		return Reaction{200, "", answer("\"content\":\"" + text_of(a.id) + "\"", "\"stop\"",
						",\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}")};
	});
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.units().cost, (int64_t)std::ceil(((double)world.bodies[0].size() / 3 + 64) * 1000));
}

/* A server that passes over max_tokens: what its first answer cost is reserved for the others. */
TEST(CollectStopped, MaxCostOfDearAnswers)
{
	World world(100, 120);
	world.teacher.price_input = world.teacher.price_output = 1;
	world.options.max_cost = 50000000; /* an answer costs 5.03 million */
	Fake fake([](const Asking &a) {
		return Reaction{200, "", answer("\"content\":\"" + text_of(a.id) + "\"", "\"stop\"",
						",\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":5000}")};
	});
	EXPECT_EQ(world.collect(fake), ERR_BUDGET) << world.err.message;
	EXPECT_EQ(fake.order.size(), 9u);
	EXPECT_EQ(world.units().cost, 9 * 5030000);
	world.expect_promises(fake);
}

/* What is wrong with every request is told by the first ones, and no query is given up for it. */
TEST(CollectStopped, EverythingIsRejected)
{
	World world(20, 20);
	Fake fake([](const Asking &) { return refused(400); });
	EXPECT_EQ(world.collect(fake), ERR_CONFIG) << world.err.message;
	EXPECT_NE(std::string(world.err.message).find("rejects whatever"), std::string::npos) << world.err.message;
	EXPECT_EQ(fake.order.size(), 5u);
	EXPECT_EQ(fake.most_open, 1u);
	EXPECT_EQ(world.units().rejected, 0);
	Fake well(always_good);
	EXPECT_EQ(world.collect(well), 0) << world.err.message;
	EXPECT_EQ(world.answers().size(), 20u);
}

/* However often the run is started, and however slow the server is in saying so. */
TEST(CollectStopped, EverythingIsRejectedForManyStarts)
{
	for (double latency : {0.0, 0.9}) {
		World world(20, 20);
		for (int start = 0; start < 3; start++) {
			Fake fake([](const Asking &) { return refused(422); });
			fake.latency = latency;
			EXPECT_EQ(world.collect(fake), ERR_CONFIG) << world.err.message;
			EXPECT_EQ(world.units().rejected, 0);
		}
		Fake well(always_good);
		EXPECT_EQ(world.collect(well), 0) << world.err.message;
		EXPECT_EQ(world.answers().size(), 20u);
	}
}

/* A server that begins to reject everything amid a run: at most what came before the fifth in a row is lost. */
TEST(CollectStopped, EverythingIsRejectedAfterSomeAnswers)
{
	for (auto late : {refused(400), refused(503, "HTTP/1.1 503 no\r\nx-should-retry: false\r\n\r\n")}) {
		World world(60, 60);
		Fake ill([&](const Asking &a) { return a.asked < 9 ? good(a.id) : late; });
		EXPECT_EQ(world.collect(ill), late.status == 400 ? ERR_CONFIG : ERR_UNAVAILABLE) << world.err.message;
		for (int start = 0; start < 2; start++) {
			Fake fake([&](const Asking &) { return late; });
			EXPECT_NE(world.collect(fake), 0);
			EXPECT_LE(world.units().rejected, 4);
		}
		world.options.most_wait = 1;
		Fake well(always_good);
		EXPECT_EQ(world.collect(well), 0) << world.err.message;
		EXPECT_GE(world.answers().size(), 56u);
	}
}

/* A prompt that a server does not let pass ends a start, not all of them: others are asked before it, and then it is given up. */
TEST(CollectStopped, OneQueryIsForbidden)
{
	World world(12, 20);
	auto script = [](const Asking &a) { return a.id == "5" ? refused(403) : good(a.id); };
	Fake first(script), second(script);
	EXPECT_EQ(world.collect(first), ERR_NOPERM) << world.err.message;
	EXPECT_EQ(world.units().rejected, 0);
	EXPECT_EQ(world.collect(second), 0) << world.err.message;
	EXPECT_NE(second.order.at(0), "5");
	EXPECT_EQ(world.units().rejected, 1);
	EXPECT_EQ(world.answers().size(), 11u);
}

/* A limit of the rate is no rejection: what was limited before stays when the key is revoked, or the server changed. */
TEST(CollectStopped, LimitedAndThenRefused)
{
	for (int status : {403, 400}) {
		World world(20, 30);
		world.options.most_wait = 1;
		Fake ill([&](const Asking &a) { return a.asked < 2 ? good(a.id) : a.asked < 7 ? refused(429) : refused(status); });
		EXPECT_EQ(world.collect(ill), status == 403 ? ERR_NOPERM : ERR_CONFIG) << world.err.message;
		EXPECT_LE(world.units().rejected, status == 403 ? 0 : 1);
		Fake still([&](const Asking &) { return refused(status); });
		EXPECT_NE(world.collect(still), 0);
		EXPECT_LE(world.units().rejected, status == 403 ? 0 : 1);
	}
}

/* A domain that the server does not let pass, neighbours all of them: others are asked between, and one start does it. */
TEST(CollectOrder, ADomainIsRejected)
{
	World world(120, 130);
	Fake fake([](const Asking &a) {
		int id = std::stoi(a.id);
		return id >= 30 && id < 60 ? refused(400) : good(a.id);
	});
	fake.latency = 0.002;
	world.teacher.max_concurrent_requests = 4;
	EXPECT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.answers().size(), 90u);
	EXPECT_EQ(world.units().rejected, 30);
	World named(120, 130);
	Fake filter([](const Asking &a) { return std::stoi(a.id) >= 30 ? refused(400, "", "\"content_filter\"") : good(a.id); });
	EXPECT_EQ(named.collect(filter), 0) << named.err.message;
	EXPECT_EQ(named.units().rejected, 90);
}

/* Where it is all that is left, a few starts prove it; a key that was never any good proves nothing. */
TEST(CollectStopped, TheLastQueryIsForbidden)
{
	World world(3, 5);
	for (int start = 0; start < 4; start++) {
		Fake fake([](const Asking &a) { return a.id == "2" ? refused(403) : good(a.id); });
		fake.latency = 0.01;
		world.teacher.max_concurrent_requests = 1;
		EXPECT_EQ(world.collect(fake), start < 3 ? ERR_NOPERM : 0) << start << world.err.message;
	}
	EXPECT_EQ(world.units().rejected, 1);
	World never(3, 5);
	for (int start = 0; start < 12; start++) {
		Fake fake([](const Asking &) { return refused(403); });
		EXPECT_EQ(never.collect(fake), ERR_NOPERM) << never.err.message;
	}
	EXPECT_EQ(never.units().rejected, 0);
}

/* More than a minute allows, in one request: as 413. */
TEST(CollectOrder, TooLargeForTheRateIsRejected)
{
	World world(10, 12);
	Fake fake([](const Asking &a) {
		Reaction r = refused(429);
		r.body = error_body("Request too large for m on tokens per min (TPM): Limit 10, Requested 12", "\"tokens\"", "null");
		return a.id == "4" ? r : good(a.id);
	});
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(fake.order.size(), 10u);
	EXPECT_EQ(world.units().rejected, 1);
}

/* The first five are rejected for themselves: others are asked between, and then they are given up. */
TEST(CollectStopped, TheFirstFiveAreRejected)
{
	World world(12, 20);
	auto script = [](const Asking &a) { return std::stoi(a.id) < 5 ? refused(400) : good(a.id); };
	Fake fake(script);
	EXPECT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.answers().size(), 7u);
	EXPECT_EQ(world.units().rejected, 5);
	EXPECT_EQ(world.answers().size(), 7u);
}

/* One that is rejected for itself is given up once others are answered, */
TEST(CollectOrder, TheFirstQueryIsRejected)
{
	World world(10, 20);
	Fake fake([](const Asking &a) { return a.id == "0" ? refused(400) : good(a.id); });
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(fake.sends["0"], 2);
	EXPECT_EQ(world.units().rejected, 1);
	EXPECT_EQ(world.counts.rejected, 1);
	EXPECT_EQ(world.counts.released, 1);
	EXPECT_EQ(world.answers().size(), 9u);
	world.expect_promises(fake);
}

/* or where an earlier start had answers, and it is all that is left. */
TEST(CollectOrder, TheLastQueryIsRejected)
{
	World world(10, 20);
	Fake most([](const Asking &a) { return a.id == "9" ? refused(429, "HTTP/1.1 429 no\r\nRetry-After: 999999\r\n\r\n") : good(a.id); });
	EXPECT_EQ(world.collect(most), ERR_TEMPFAIL) << world.err.message;
	world.options.most_wait = 1;
	Fake last([](const Asking &) { return refused(400); });
	EXPECT_EQ(world.collect(last), 0) << world.err.message;
	EXPECT_EQ(last.order.size(), 2u);
	EXPECT_EQ(world.units().rejected, 1);
	EXPECT_EQ(world.answers().size(), 9u);
}

TEST(CollectOrder, TheFirstRequestGoesAlone)
{
	World world(10, 12);
	size_t open = 0;
	Fake fake(always_good);
	fake.latency = 0.05;
	fake.polled = [&] { open = fake.order.size() == 1 ? std::max(open, fake.open.size()) : open; };
	ASSERT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(fake.most_open, 4u);
	EXPECT_EQ(open, 1u) << "while no second one was asked";
	ASSERT_GE(fake.times.size(), 5u);
	EXPECT_GE(fake.times[1] - fake.times[0], 0.04);
	EXPECT_LT(fake.times[4] - fake.times[1], 0.04);
}

/* A teacher that cannot be reached is asked in vain as often as it takes: that is no send. */
TEST(CollectStopped, UnreachableForManyStarts)
{
	World world(5, 5);
	world.teacher.max_wait = 0.2;
	for (int starts = 0; starts < 20; starts++) {
		Fake fake([](const Asking &) { return unconnected(); });
		EXPECT_EQ(world.collect(fake), ERR_UNAVAILABLE);
		EXPECT_GT(fake.order.size(), 0u);
	}
	EXPECT_EQ(world.units().wire, 0);
	Fake well(always_good);
	EXPECT_EQ(world.collect(well), 0) << world.err.message;
}

/* Sends that cost nothing are bounded too: 10 + 100 of them in a start. */
TEST(CollectStopped, TooManySends)
{
	World world(10, 10);
	world.teacher.max_concurrent_requests = 4;
	world.collector.budget = 10;
	Fake fake([](const Asking &) { return refused(429); }, false);
	EXPECT_EQ(world.collect(fake), ERR_UNAVAILABLE) << world.err.message;
	EXPECT_EQ(fake.order.size(), 110u);
	EXPECT_EQ(world.units().used, 0);
	world.expect_promises(fake);
	EXPECT_EQ(world.collect(fake), ERR_UNAVAILABLE) << world.err.message;
	EXPECT_EQ(fake.order.size(), 220u);
	Fake well(always_good, false);
	EXPECT_EQ(world.collect(well), 0) << world.err.message;
}

TEST(CollectStopped, CallersFailure)
{
	World world(100, 100);
	Fake fake(always_good);
	static int calls;
	calls = 0;
	world.collector.settled = [](void *, struct err *err) {
		return ++calls < 10 ? 0 : err_set(err, ERR_IO, "the status cannot be written");
	};
	EXPECT_EQ(world.collect(fake), ERR_IO);
	EXPECT_LE(fake.order.size(), 14u);
	EXPECT_TRUE(fake.open.empty());
	world.expect_promises(fake);
}

TEST(CollectStopped, FailingAskReturnsTheUnit)
{
	World world(10, 12);
	Fake fake(always_good);
	fake.refuse_ask_after = 5;
	EXPECT_EQ(world.collect(fake), ERR_DATA);
	EXPECT_EQ(world.units().used, 5);
	EXPECT_EQ(world.units().armed, 0);
	fake.refuse_ask_after = -1;
	EXPECT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.answers().size(), 10u);
	world.expect_promises(fake);
}

/* ---- signals ---------------------------------------------------------------------------------- */

TEST(CollectSignal, PaidRequestsAreWaitedFor)
{
	World world(50, 60);
	Fake fake(always_good);
	fake.latency = 0.4;
	bool paying = false;
	fake.polled = [&] {
		if (fake.order.size() == 5) { /* one alone, then four */
			world.signals = 1;
			paying = world.paying;
		}
	};
	double began = seconds_now();
	EXPECT_EQ(world.collect(fake), ERR_TEMPFAIL) << world.err.message;
	EXPECT_STREQ(world.err.message, "interrupted; the same command goes on");
	EXPECT_TRUE(paying);
	EXPECT_GE(seconds_now() - began, 0.4);
	EXPECT_EQ(fake.order.size(), 5u);
	EXPECT_EQ(world.counts.answered, 5);
	EXPECT_EQ(world.units().armed, 0);
	world.signals = 0;
	fake.latency = 0;
	EXPECT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.answers().size(), 50u);
	world.expect_promises(fake);
}

/* Nor may it end the process between a commit that arms and the sending, or before what came is committed. */
TEST(CollectSignal, IsWaitedOutFromTheArmingToTheCommit)
{
	World world(3, 9);
	Disk disk("collect");
	world.options.vfs = "collect";
	bool guarded = false;
	int sent = 0, told = 0;
	disk.watch = [&] { guarded = world.paying; };
	Fake fake([&](const Asking &a) {
		sent += guarded;
		return a.sends ? good(a.id) : unconnected();
	});
	world.teacher.max_concurrent_requests = 1;
	std::pair<bool *, int *> seen(&guarded, &told);
	world.collector.context = &seen;
	world.collector.settled = [](void *context, struct err *) {
		auto *of = static_cast<std::pair<bool *, int *> *>(context);
		*of->second += *of->first;
		return 0;
	};
	EXPECT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(sent, 6);
	EXPECT_GE(told, 3);
	EXPECT_EQ(world.paying, 0);
}

/* -1 from what is told of a commit keeps what is armed from being sent. */
TEST(CollectStopped, WhatIsToldEndsTheSending)
{
	World world(9, 9);
	Fake fake(always_good);
	world.collector.settled = [](void *, struct err *err) { return err_set(err, ERR_IO, "no room for the status"); };
	EXPECT_EQ(world.collect(fake), ERR_IO);
	EXPECT_LE(fake.billed, 4) << "those of the first round";
	EXPECT_EQ(world.units().armed, 0);
}

/* What costs nothing is not waited for, and the next start asks it as if it had never been. */
TEST(CollectSignal, FreeRequestsAreDropped)
{
	World world(50, 60);
	bool paying = false;
	{
		Fake fake(always_good, false);
		fake.latency = 5;
		fake.polled = [&] {
			world.signals = 1;
			paying = paying || world.paying;
		};
		double began = seconds_now();
		EXPECT_EQ(world.collect(fake), ERR_TEMPFAIL);
		EXPECT_LT(seconds_now() - began, 2);
		EXPECT_FALSE(paying);
	}
	world.signals = 0;
	Fake well(always_good, false);
	EXPECT_EQ(world.collect(well), 0) << world.err.message;
	EXPECT_EQ(world.recovery.released, 4);
	EXPECT_EQ(world.units().wire, 50);
	world.expect_promises(well);
}

/* Recorded doubts do not end the run that replays them. */
TEST(CollectStopped, NotByDoubtsThatCostNothing)
{
	World world(30, 60);
	Fake fake([](const Asking &a) { return a.sends ? good(a.id) : lost(); }, false);
	EXPECT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.answers().size(), 30u);
}

/* ---- salvage -------------------------------------------------------------------------------------- */

/* What a killed process had received is judged by the next as it would have been judged itself. */
TEST(CollectSalvage, JudgesAsTheSourceDoes)
{
	const std::vector<Reaction> reactions = {
		good("0"),
		refused(400),
		refused(413),
		refused(429),
		refused(500),
		refused(503),
		refused(408),
		refused(418),
		{200, "", answer("\"content\":\"cut\"", "\"length\"")},
		{200, "", HTML},
		{200, "", ""},
		{400, "", error_body("unsupported", "null", "\"unsupported_value\"", "\"temperature\"")},
		refused(429, "HTTP/1.1 429 no\r\nx-should-retry: false\r\n\r\n"),
	};
	for (const Reaction &reaction : reactions) {
		World live(1, 5), killed(1, 5);
		Fake fake([&](const Asking &a) { return a.asked ? good(a.id) : reaction; });
		live.options.max_retries = 0;
		killed.options.max_retries = 0;
		ASSERT_EQ(live.collect(fake), 0) << live.err.message;

		ASSERT_NE(killed.open(fake), nullptr) << killed.err.message;
		struct ledger *ledger = killed.collector.ledger;
		struct ledger_query query = {};
		query.kind = "annotate";
		query.domain = "acq";
		query.example_id = "0";
		query.body = killed.bodies[0].data();
		query.body_n = killed.bodies[0].size();
		ASSERT_EQ(ledger_step_open(ledger, 0, "annotate", &query, 1, &killed.err), 0) << killed.err.message;
		struct ledger_shot shot = {};
		size_t armed;
		enum ledger_stop stop;
		shot.query = 1;
		ASSERT_EQ(ledger_arm(ledger, &shot, 1, 0, &armed, &stop, &killed.err), 0) << killed.err.message;
		memcpy(shot.slot->head, reaction.headers.data(), reaction.headers.size());
		memcpy(shot.slot->body, reaction.body.data(), reaction.body.size());
		ASSERT_EQ(
			slot_finish(shot.slot, reaction.status, reaction.headers.size(), reaction.body.size(), nullptr),
			0);
		ledger_close(ledger);
		ledger = killed.open(fake);
		ASSERT_NE(ledger, nullptr) << killed.err.message;
		EXPECT_EQ(killed.recovery.salvaged, 1);
		ledger_close(ledger);

		World::Attempt here = live.attempts().at(0), there = killed.attempts().at(0);
		EXPECT_EQ(there.state, here.state) << reaction.status << reaction.body;
		EXPECT_EQ(there.reason, here.reason) << reaction.status;
		EXPECT_EQ(there.usage, here.usage) << reaction.status;
		EXPECT_EQ(killed.answers(), here.state == "answered" ? live.answers() : std::vector<std::string>());
		EXPECT_EQ(killed.units().rejected, live.units().rejected) << reaction.status;
	}
}

/* ---- a full disk ----------------------------------------------------------------------------------- */

/*
 * Whatever write fails, what was paid for is settled or lies in its slot, and
 * the next start takes it from there. (An arming that failed at its very end is
 * in doubt: nothing was sent, and nothing shows that.)
 */
TEST(CollectDisk, NoPaidAnswerIsLost)
{
	long held = 0;
	for (long nth = 1; nth <= 60; nth++) {
		World world(12, 16); /* an arming of four may end in doubt */
		Disk disk("collect");
		world.options.vfs = "collect";
		long before = 0;
		Fake fake([&](const Asking &a) {
			if (!before++) {
				disk.fail_at = disk.operations + nth;
				disk.fail_on = true;
				disk.fail_code = SQLITE_FULL;
			}
			return good(a.id);
		});
		int code = world.collect(fake);
		EXPECT_TRUE(!code || code == ERR_IO) << world.err.message;
		EXPECT_TRUE(fake.open.empty());
		held += std::string(world.err.message).find("wait in their slots") != std::string::npos;
		disk.fail_at = 0;
		fake.answered.clear();
		ASSERT_EQ(world.collect(fake), 0) << world.err.message;
		EXPECT_EQ(fake.billed, 12) << "an answer was bought twice at operation " << nth;
		EXPECT_EQ(fake.repeated_ids, 0);
		EXPECT_EQ(world.answers().size(), 12u);
	}
	EXPECT_GT(held, 20);
}

/* A reply that broke off is no reply, also where the ledger could not be told. */
TEST(CollectDisk, BrokenReplyIsNotSalvaged)
{
	World world(1, 3);
	Disk disk("collect");
	world.options.vfs = "collect";
	Fake fake([&](const Asking &a) {
		if (a.asked)
			return good(a.id);
		disk.fail_at = disk.operations + 1;
		disk.fail_on = true;
		Reaction r = good(a.id);
		r.transport = TEACHER_BROKEN;
		r.body.resize(r.body.size() / 2);
		return r;
	});
	EXPECT_EQ(world.collect(fake), ERR_IO);
	disk.fail_at = 0;
	EXPECT_EQ(world.collect(fake), 0) << world.err.message;
	EXPECT_EQ(world.recovery.salvaged, 0);
	EXPECT_EQ(world.recovery.in_doubt, 1);
	EXPECT_EQ(world.answers().size(), 1u);
}

/* ---- faults of all kinds ---------------------------------------------------------------------- */

Reaction faulty(const Asking &a, std::mt19937 &random, unsigned percent)
{
	static const std::function<Reaction(const std::string &)> faults[] = {
		[](const std::string &) { return lost(); },
		[](const std::string &) { return unconnected(); },
		[](const std::string &) { return refused(429); },
		[](const std::string &) { return refused(500); },
		[](const std::string &) { return refused(503); },
		[](const std::string &) { return refused(502); },
		[](const std::string &) {
			return Reaction{200, "", answer("\"content\":\"cut\"", "\"length\"")};
		},
		[](const std::string &) {
			return Reaction{200, "", "{\"choices\":["};
		},
		[](const std::string &id) {
			Reaction r = good(id);
			r.transport = TEACHER_BROKEN;
			r.body.resize(r.body.size() / 2);
			return r;
		},
		[](const std::string &) { return refused(400); },
	};
	return random() % 100 < percent ? faults[random() % 10](a.id) : good(a.id);
}

TEST(CollectFaults, BudgetHoldsInAnyHistory)
{
	for (unsigned seed = 1; seed <= 4; seed++) {
		World world(300, 300);
		std::mt19937 random(seed);
		long billed = 0;
		int code = ERR_UNAVAILABLE;
		for (int starts = 0; code && starts < 50; starts++) {
			Fake fake([&](const Asking &a) { return faulty(a, random, 8); });
			fake.shuffled = true;
			fake.random.seed(seed);
			code = world.collect(fake);
			EXPECT_TRUE(!code || code == ERR_UNAVAILABLE) << world.err.message;
			EXPECT_EQ(fake.repeated_ids + fake.asked_again, 0);
			billed += fake.billed;
			world.expect_promises(billed);
		}
		EXPECT_EQ(code, 0);
		struct ledger_counts units = world.units();
		EXPECT_EQ(units.answered + units.unusable + units.rejected + units.parked + units.pending, 300);
		EXPECT_GT(units.answered, 250);
		EXPECT_GT(units.unusable, 0);
		EXPECT_GT(units.in_doubt, 0);
		EXPECT_GT(units.wire, 300);
	}
}

} // namespace
