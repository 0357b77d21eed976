// SPDX-License-Identifier: Apache-2.0
/*
 * scoring_test - free-text answers to figures and intervals.
 *
 * Figures are means of at most a hundred fractions, compared with those of
 * scikit-learn (tests/golden/scoring.jsonl) within 1e-12: unit round-off
 * 1.1e-16 times the terms, with room for another order of summation.
 */
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/pipeline/scoring.h"

namespace
{

const double tolerance = 1e-12;
const double nan_value = std::nan("");

struct Row {
	std::string domain, label, prediction;
	std::vector<std::string> choices;
};

/* A task with its gold rows and what a student said, scored. */
struct Scored {
	std::vector<std::string> name;
	std::vector<char> head_flag;
	std::vector<const char *> names;
	std::unique_ptr<bool[]> head;
	answer_task task = {};
	scoring_options options = {};
	examples gold;
	std::vector<std::string> prediction;
	std::vector<const char *> predictions;
	scoring result = {};
	err error = {};
	int rc = -1;

	Scored(answer_type type, const std::vector<std::string> &domains, const std::vector<char> &heads,
	       const std::vector<Row> &rows, int64_t bootstrap = 0, uint64_t seed = 1, bool head_known = true)
	    : name(domains), head_flag(heads), head(new bool[domains.size() + 1])
	{
		for (size_t d = 0; d < name.size(); d++) {
			names.push_back(name[d].c_str());
			head[d] = head_flag[d];
		}
		task = {type, type == ANSWER_CLASS ? names.data() : nullptr, type == ANSWER_CLASS ? names.size() : 0};
		options = {&task, names.data(), head_known ? head.get() : nullptr, names.size(), bootstrap, seed};
		fill(rows);
		rc = scoring_compute(&result, &gold, predictions.data(), &options, &error);
	}
	void fill(const std::vector<Row> &rows)
	{
		examples_init(&gold);
		for (const Row &row : rows)
			prediction.push_back(row.prediction);
		for (size_t i = 0; i < rows.size(); i++) {
			std::vector<const char *> choices;
			for (const std::string &choice : rows[i].choices)
				choices.push_back(choice.c_str());
			example one = {};
			one.id = {true, static_cast<int64_t>(i), nullptr};
			one.input = "?";
			one.label = rows[i].label.c_str();
			one.choices = choices.data();
			one.n_choices = choices.size();
			EXPECT_EQ(0, examples_add(&gold, &one, rows[i].domain.c_str(), &error)) << error.message;
			predictions.push_back(prediction[i] == "<none>" ? nullptr : prediction[i].c_str());
		}
		EXPECT_EQ(0, examples_group(&gold, &error)) << error.message;
	}
	~Scored()
	{
		if (!rc)
			scoring_release(&result);
		examples_release(&gold);
	}
	Scored(const Scored &) = delete;
	double operator[](scoring_figure figure) const
	{
		return result.figure[figure];
	}
	double domain(const std::string &which) const
	{
		for (size_t d = 0; d < result.l; d++)
			if (which == result.domain[d].name)
				return result.domain[d].score;
		ADD_FAILURE() << "no domain " << which;
		return -1;
	}
	std::string json() const
	{
		json_writer w;
		err why = {};
		json_writer_init(&w, 0);
		scoring_put(&w, &result);
		const char *text = json_writer_text(&w, nullptr, &why);
		std::string out = text ? text : why.message;
		json_writer_release(&w);
		return out;
	}
};

void expect_close(double value, double golden, const std::string &what)
{
	if (std::isnan(golden))
		EXPECT_TRUE(std::isnan(value)) << what << ": " << value;
	else
		EXPECT_NEAR(value, golden, tolerance) << what;
}

// ---------------------------------------------------------------- scikit-learn

struct Document {
	err error = {};
	json *doc;

	explicit Document(const std::string &text) : doc(json_parse(text.data(), text.size(), nullptr, &error))
	{
		EXPECT_TRUE(doc) << error.message;
	}
	~Document()
	{
		json_free(doc);
	}
	json_value operator[](const char *key) const
	{
		return json_in(json_root(doc), key);
	}
};

std::string text_of(json_value value)
{
	const char *text = "";
	err error = {};
	EXPECT_EQ(0, json_get_string(value, &text, nullptr, &error)) << error.message;
	return text;
}

double number_of(json_value value)
{
	double number = 0;
	err error = {};
	if (json_kind(value) == JSON_NULL)
		return nan_value;
	EXPECT_EQ(0, json_get_double(value, &number, &error)) << error.message;
	return number;
}

size_t length_of(json_value value)
{
	size_t n = 0;
	err error = {};
	EXPECT_EQ(0, json_get_length(value, &n, &error)) << error.message;
	return n;
}

std::vector<std::string> texts_of(json_value list)
{
	std::vector<std::string> out;
	for (size_t i = 0; i < length_of(list); i++)
		out.push_back(text_of(json_at(list, i)));
	return out;
}

std::vector<Row> rows_of(json_value list)
{
	std::vector<Row> rows;
	for (size_t i = 0; i < length_of(list); i++) {
		json_value row = json_at(list, i);
		std::vector<std::string> choices;
		if (length_of(row) > 3)
			choices = texts_of(json_at(row, 3));
		rows.push_back({text_of(json_at(row, 0)), text_of(json_at(row, 1)), text_of(json_at(row, 2)), choices});
	}
	return rows;
}

void check_golden(const Document &line, size_t number)
{
	std::string what = "case " + std::to_string(number);
	answer_type type = ANSWER_TYPES;
	err error = {};
	std::vector<char> heads;
	ASSERT_EQ(0, answer_type_parse(&type, text_of(line["type"]).c_str(), &error)) << error.message;
	for (size_t d = 0; d < length_of(line["head"]); d++) {
		bool head = false;
		ASSERT_EQ(0, json_get_bool(json_at(line["head"], d), &head, &error));
		heads.push_back(head);
	}
	Scored s(type, texts_of(line["domains"]), heads, rows_of(line["rows"]));
	ASSERT_EQ(0, s.rc) << s.error.message;
	EXPECT_EQ(number_of(line["invalid"]), static_cast<double>(s.result.invalid)) << what;
	for (int f = 0; f < SCORING_FIGURES; f++)
		expect_close(s.result.figure[f], number_of(line[scoring_figure_names[f]]),
			     what + scoring_figure_names[f]);
	ASSERT_EQ(length_of(line["scores"]), s.result.l);
	for (size_t d = 0; d < s.result.l; d++)
		expect_close(s.result.domain[d].score, number_of(json_at(line["scores"], d)),
			     what + s.result.domain[d].name);
}

TEST(Scoring, EqualsScikitLearn)
{
	const char *root = getenv("TEST_SRCDIR");
	std::ifstream file(std::string(root ? root : ".") + "/tests/golden/scoring.jsonl");
	std::string text;
	size_t cases = 0;
	ASSERT_TRUE(std::getline(file, text))
		<< "tests/golden/scoring.jsonl (from the source folder, or set TEST_SRCDIR)";
	while (std::getline(file, text))
		check_golden(Document(text), ++cases);
	EXPECT_EQ(8u, cases);
}

// ---------------------------------------------------------------- by hand

/*
 * Counts: a tp 2 fn 1 fp 1, b tp 1 fn 0 fp 1 (one invalid answer belongs to a),
 * c gold only, tp 0 fn 1; d never.
 */
const std::vector<Row> letters = {{"alpha", "alpha", "The answer is alpha.", {}},
				  {"alpha", "alpha", "alpha", {}},
				  {"alpha", "alpha", "who knows", {}},
				  {"beta", "beta", "The answer is Beta.", {}},
				  {"gamma", "gamma", "not alpha. The answer is beta.", {}},
				  {"gamma", "gamma", "The answer is alpha, not gamma.", {}}};

TEST(Scoring, ClassesByHand)
{
	Scored s(ANSWER_CLASS, {"alpha", "beta", "gamma", "delta"}, {1, 0, 0, 0}, letters);
	ASSERT_EQ(0, s.rc) << s.error.message;
	EXPECT_EQ(6u, s.result.n);
	EXPECT_EQ(1u, s.result.invalid);
	expect_close(s.domain("alpha"), 4.0 / 6, "alpha"); /* tp 2, fn 1, fp 1 */
	expect_close(s.domain("beta"), 2.0 / 3, "beta");   /* tp 1, fp 1 */
	expect_close(s.domain("gamma"), 0, "gamma");
	expect_close(s.domain("delta"), 0, "absent from gold counts as 0");
	expect_close(s[SCORING_MACRO], (4.0 / 6 + 2.0 / 3) / 4, "macro");
	expect_close(s[SCORING_MICRO], 6.0 / (6 + 2 + 3), "micro: tp 3, fp 2, fn 3");
	expect_close(s[SCORING_HEAD], 4.0 / 6, "head");
	expect_close(s[SCORING_TAIL], 2.0 / 9, "tail");
}

TEST(Scoring, InvalidAnswersAreNoFalsePositives)
{
	Scored s(ANSWER_CLASS, {"alpha", "beta"}, {1, 0},
		 {{"alpha", "alpha", "", {}}, {"alpha", "alpha", "<none>", {}}, {"beta", "beta", "beta", {}}});
	ASSERT_EQ(0, s.rc) << s.error.message;
	EXPECT_EQ(2u, s.result.invalid);
	expect_close(s.domain("beta"), 1, "nothing false was said of beta");
	expect_close(s[SCORING_MICRO], 2.0 / (2 + 0 + 2), "micro");
}

TEST(Scoring, EmptyGroupsAndDomainsAreNull)
{
	std::vector<Row> rows = {{"x", "7", "The answer is 7.", {}}, {"x", "8", "9", {}}, {"y", "1/2", "0.50", {}}};
	Scored s(ANSWER_MATH, {"x", "y", "z"}, {1, 1, 1}, rows, 20);
	ASSERT_EQ(0, s.rc) << s.error.message;
	EXPECT_TRUE(std::isnan(s[SCORING_TAIL]));
	EXPECT_TRUE(std::isnan(s.domain("z")));
	expect_close(s[SCORING_MACRO], 0.75, "z is left out");
	expect_close(s[SCORING_MICRO], 2.0 / 3, "micro");
	EXPECT_NE(std::string::npos, s.json().find("\"tail_macro\":null,\"intervals\":{\"macro\":["));
	EXPECT_NE(std::string::npos,
		  s.json().find(
			  "\"tail_macro\":null},\"domains\":[{\"domain\":\"x\",\"n\":2,\"score\":0.5,\"head\":true}"));
	EXPECT_NE(std::string::npos, s.json().find("{\"domain\":\"z\",\"n\":0,\"score\":null,\"head\":true}]}"));
}

TEST(Scoring, HeadsThatAreNotKnownHaveNoFigure)
{
	Scored s(ANSWER_CLASS, {"alpha", "beta", "gamma"}, {1, 0, 0}, letters, 10, 1, false);
	ASSERT_EQ(0, s.rc) << s.error.message;
	EXPECT_TRUE(std::isnan(s[SCORING_HEAD]) && std::isnan(s[SCORING_TAIL]));
	EXPECT_EQ(std::string::npos, s.json().find("\"head\":"));
}

TEST(Scoring, QuestionsAreWordF1)
{
	Scored s(ANSWER_QA, {"nq", "drop"}, {1, 0},
		 {{"nq", "the big red house", "So. The answer is a red house.", {}},
		  {"nq", "Paris", "Paris", {}},
		  {"drop", "4 yards", "  ", {}}});
	ASSERT_EQ(0, s.rc) << s.error.message;
	EXPECT_EQ(1u, s.result.invalid);
	expect_close(s.domain("nq"), (2.0 * 2 / (2 + 3) + 1) / 2, "two words in common of two and three");
	expect_close(s.domain("drop"), 0, "drop");
	expect_close(s[SCORING_MICRO], 1.8 / 3, "micro");
	expect_close(s[SCORING_MACRO], 0.45, "macro");
}

TEST(Scoring, EachRowHasItsOwnChoices)
{
	Scored s(ANSWER_CHOICE, {"d"}, {1},
		 {{"d", "A", "The answer is (A).", {"cat", "dog"}},
		  {"d", "A", "The answer is bird.", {"bird", "dog"}},
		  {"d", "B", "The answer is cat.", {"cat", "dog"}},
		  {"d", "A", "The answer is (D).", {"cat", "dog"}}});
	ASSERT_EQ(0, s.rc) << s.error.message;
	expect_close(s[SCORING_MICRO], 0.5, "micro");
	EXPECT_EQ(1u, s.result.invalid);
}

TEST(Scoring, ChoicesThatSayTheSameAreTheSame)
{
	const char *const choices[] = {"yes", "no", "yes"};
	const answer_task task = {ANSWER_CHOICE, choices, 3};
	for (const auto &[text, wanted] : std::map<std::string, double>{{"The answer is (A).", 1}, {"The answer is (C).", 1}, {"The answer is (B).", 0}}) {
		answer answer;
		double score = -1;
		err err;
		answer_extract(&answer, &task, text.data(), text.size());
		ASSERT_EQ(0, answer_score(&score, &task, &answer, "yes", 3, &err));
		EXPECT_EQ(wanted, score) << text;
	}
}

TEST(Scoring, AnUnknownDomainIsRefused)
{
	Scored s(ANSWER_CLASS, {"alpha", "beta"}, {1, 0}, letters);
	EXPECT_EQ(-1, s.rc);
	EXPECT_EQ(ERR_DATA, s.error.code);
	EXPECT_NE(nullptr, strstr(s.error.message, "'gamma'")) << s.error.message;
}

TEST(Scoring, NoExamplesHaveNoFigures)
{
	Scored s(ANSWER_QA, {"d"}, {1}, {}, 100);
	ASSERT_EQ(0, s.rc) << s.error.message;
	for (double figure : s.result.figure)
		EXPECT_TRUE(std::isnan(figure));
	EXPECT_FALSE(s.result.has_intervals);
}

// ---------------------------------------------------------------- intervals

/* A long tail: head of 60, then 6, then forty classes of one example each; `right` of 10 answers are right. */
std::vector<Row> long_tail(std::vector<std::string> &names, unsigned right)
{
	std::vector<Row> rows;
	names.clear();
	for (size_t c = 0; c < 42; c++) {
		names.push_back("class" + std::to_string(c));
		for (size_t i = 0; i < (c == 0 ? 60u : c == 1 ? 6u : 1u); i++) {
			bool good = (rows.size() * 7 + c) % 10 < right;
			std::string answer = good ? names[c] : "class" + std::to_string(c ? c - 1 : 3);
			rows.push_back({names[c], names[c], "The answer is " + answer + ".", {}});
		}
	}
	return rows;
}

std::vector<char> first_are_head(size_t l, size_t heads)
{
	std::vector<char> head(l);
	for (size_t d = 0; d < heads; d++)
		head[d] = 1;
	return head;
}

TEST(Intervals, ContainTheirFigureInALongTail)
{
	std::vector<std::string> names;
	for (unsigned right : {3u, 6u, 9u}) {
		std::vector<Row> rows = long_tail(names, right);
		Scored s(ANSWER_CLASS, names, first_are_head(names.size(), 2), rows, 1000, 1);
		ASSERT_EQ(0, s.rc) << s.error.message;
		ASSERT_TRUE(s.result.has_intervals);
		for (int f = 0; f < SCORING_FIGURES; f++) {
			metrics_interval in = s.result.interval[f];
			EXPECT_LT(in.low, s.result.figure[f]) << right << " " << scoring_figure_names[f];
			EXPECT_GT(in.high, s.result.figure[f]) << right << " " << scoring_figure_names[f];
			EXPECT_GE(in.low, 0);
			EXPECT_LE(in.high, 1);
		}
	}
}

/* A head of 200 and 40 classes of one example; what is wrong is no answer. */
std::vector<Row> head_and_singles(std::vector<std::string> &names, bool head, unsigned right)
{
	std::vector<Row> rows;
	names.clear();
	for (size_t c = 0; c < 41; c++) {
		names.push_back("class" + std::to_string(c));
		for (size_t i = 0; i < (c ? 1u : 200u); i++)
			rows.push_back({names[c], names[c], (c ? c <= right : head) ? "The answer is " + names[c] + "." : "No.", {}});
	}
	return rows;
}

/* Classes that a replicate misses draw it towards the others: that is no part of the interval. */
TEST(Intervals, ContainTheirFigureWhereHeadAndTailDiffer)
{
	std::vector<std::string> names;
	for (unsigned right : {0u, 4u, 20u, 40u})
		for (bool head : {false, true}) {
			std::vector<Row> rows = head_and_singles(names, head, right);
			Scored s(ANSWER_CLASS, names, first_are_head(41, 1), rows, 1000, 1);
			ASSERT_EQ(0, s.rc) << s.error.message;
			for (int f = 0; f < SCORING_FIGURES; f++) {
				metrics_interval in = s.result.interval[f];
				EXPECT_LE(in.low, s.result.figure[f]) << head << right << scoring_figure_names[f];
				EXPECT_GE(in.high, s.result.figure[f]) << head << right << scoring_figure_names[f];
				EXPECT_TRUE(in.low >= 0 && in.high <= 1) << head << right << scoring_figure_names[f];
			}
		}
}

/* Nearly all replicates are the figure itself, and the others pull to one side. */
TEST(Intervals, ContainTheirFigureWhereFewReplicatesDiffer)
{
	std::vector<std::string> names = {"alpha", "beta"};
	std::vector<Row> rows(100, Row{"alpha", "alpha", "The answer is alpha.", {}});
	rows.insert(rows.end(), 4, Row{"beta", "beta", "No.", {}});
	Scored s(ANSWER_CLASS, names, first_are_head(2, 1), rows, 1000, 1);
	ASSERT_EQ(0, s.rc) << s.error.message;
	EXPECT_DOUBLE_EQ(0.5, s.result.figure[SCORING_MACRO]);
	EXPECT_LE(s.result.interval[SCORING_MACRO].low, s.result.figure[SCORING_MACRO]);
	EXPECT_GE(s.result.interval[SCORING_MACRO].high, s.result.figure[SCORING_MACRO]);
}

TEST(Difference, OfTheTailAloneContainsItself)
{
	std::vector<std::string> names;
	std::vector<Row> few = head_and_singles(names, true, 2), many = head_and_singles(names, true, 16);
	std::vector<char> head = first_are_head(41, 1);
	Scored bad(ANSWER_CLASS, names, head, few), good(ANSWER_CLASS, names, head, many);
	const scoring *a = &good.result, *b = &bad.result;
	metrics_interval in[SCORING_FIGURES];
	err error = {};
	ASSERT_EQ(0, scoring_difference(in, &a, &b, 1, 1000, 5, &error)) << error.message;
	double macro = a->figure[SCORING_MACRO] - b->figure[SCORING_MACRO];
	EXPECT_NEAR(14.0 / 41, macro, 1e-12);
	EXPECT_NEAR(macro, (in[SCORING_MACRO].low + in[SCORING_MACRO].high) / 2, 0.02) << "in the middle, as nothing is skewed here";
}

/* The mean of n Bernoulli draws: the interval is the normal one, 1.96 sqrt(p (1 - p) / n), within a tenth. */
TEST(Intervals, AreAsWideAsTheNormalOnes)
{
	std::vector<Row> rows;
	for (int i = 0; i < 400; i++)
		rows.push_back({"d", "1", i % 10 < 3 ? "1" : "2", {}});
	Scored s(ANSWER_MATH, {"d"}, {1}, rows, 4000, 3);
	ASSERT_EQ(0, s.rc) << s.error.message;
	double half = 1.96 * std::sqrt(0.3 * 0.7 / 400);
	EXPECT_NEAR(s.result.interval[SCORING_MICRO].low, 0.3 - half, half / 10);
	EXPECT_NEAR(s.result.interval[SCORING_MICRO].high, 0.3 + half, half / 10);
}

TEST(Intervals, DependOnTheSeedAlone)
{
	std::vector<std::string> names;
	std::vector<Row> rows = long_tail(names, 6);
	std::vector<char> head = first_are_head(names.size(), 2);
	Scored a(ANSWER_CLASS, names, head, rows, 200, 7), b(ANSWER_CLASS, names, head, rows, 200, 7),
		c(ANSWER_CLASS, names, head, rows, 200, 8), none(ANSWER_CLASS, names, head, rows, 0, 7);
	ASSERT_TRUE(!a.rc && !b.rc && !c.rc && !none.rc);
	EXPECT_EQ(a.json(), b.json());
	EXPECT_NE(a.json(), c.json());
	EXPECT_NE(std::string::npos, none.json().find("\"intervals\":{}"));
	for (int f = 0; f < SCORING_FIGURES; f++)
		EXPECT_EQ(a.result.figure[f], c.result.figure[f]);
}

/* One method's mean over two seeds of one result is that result, and so is its interval. */
TEST(Difference, OfNothingIsTheMeanItself)
{
	std::vector<std::string> names;
	std::vector<Row> rows = long_tail(names, 9), bad_rows = long_tail(names, 4);
	std::vector<char> head = first_are_head(names.size(), 2);
	Scored good(ANSWER_CLASS, names, head, rows, 500, 5), bad(ANSWER_CLASS, names, head, bad_rows, 500, 5);
	const scoring *twice[] = {&good.result, &good.result}, *both[] = {&good.result, &bad.result};
	metrics_interval same[SCORING_FIGURES], between[SCORING_FIGURES];
	err error = {};
	ASSERT_EQ(0, scoring_mean(same, twice, 2, 500, 5, &error)) << error.message;
	ASSERT_EQ(0, scoring_mean(between, both, 2, 500, 5, &error)) << error.message;
	for (int f = 0; f < SCORING_FIGURES; f++) {
		double mean = (good.result.figure[f] + bad.result.figure[f]) / 2;
		EXPECT_DOUBLE_EQ(good.result.interval[f].low, same[f].low) << scoring_figure_names[f];
		EXPECT_DOUBLE_EQ(good.result.interval[f].high, same[f].high) << scoring_figure_names[f];
		EXPECT_LT(between[f].low, mean) << scoring_figure_names[f];
		EXPECT_GT(between[f].high, mean) << scoring_figure_names[f];
	}
}

TEST(Difference, OfNoReplicatesHasNoInterval)
{
	std::vector<std::string> names;
	std::vector<Row> rows = long_tail(names, 9);
	Scored one(ANSWER_CLASS, names, first_are_head(names.size(), 2), rows);
	const scoring *a = &one.result;
	metrics_interval mean[SCORING_FIGURES], difference[SCORING_FIGURES];
	err error = {};
	ASSERT_EQ(0, scoring_mean(mean, &a, 1, 0, 5, &error)) << error.message;
	ASSERT_EQ(0, scoring_difference(difference, &a, &a, 1, 0, 5, &error)) << error.message;
	for (int f = 0; f < SCORING_FIGURES; f++)
		EXPECT_TRUE(std::isnan(mean[f].low) && std::isnan(difference[f].high)) << scoring_figure_names[f];
}

TEST(Difference, IsPairedAndDeterministic)
{
	std::vector<std::string> names;
	std::vector<Row> good_rows = long_tail(names, 9), bad_rows = long_tail(names, 4);
	std::vector<char> head = first_are_head(names.size(), 2);
	Scored good(ANSWER_CLASS, names, head, good_rows), bad(ANSWER_CLASS, names, head, bad_rows);
	metrics_interval first[SCORING_FIGURES], again[SCORING_FIGURES], self[SCORING_FIGURES], back[SCORING_FIGURES];
	err error = {};
	const scoring *good_one = &good.result, *bad_one = &bad.result;
	ASSERT_EQ(0, scoring_difference(first, &good_one, &bad_one, 1, 500, 5, &error)) << error.message;
	ASSERT_EQ(0, scoring_difference(again, &good_one, &bad_one, 1, 500, 5, &error)) << error.message;
	ASSERT_EQ(0, scoring_difference(self, &good_one, &good_one, 1, 500, 5, &error)) << error.message;
	ASSERT_EQ(0, scoring_difference(back, &bad_one, &good_one, 1, 500, 5, &error)) << error.message;
	for (int f = 0; f < SCORING_FIGURES; f++) {
		double difference = good.result.figure[f] - bad.result.figure[f];
		EXPECT_EQ(first[f].low, again[f].low);
		EXPECT_EQ(first[f].high, again[f].high);
		EXPECT_LT(first[f].low, difference) << scoring_figure_names[f];
		EXPECT_GT(first[f].high, difference) << scoring_figure_names[f];
		EXPECT_EQ(0, self[f].low) << "one sample serves both";
		EXPECT_EQ(0, self[f].high);
		EXPECT_EQ(-first[f].high, back[f].low);
		EXPECT_EQ(-first[f].low, back[f].high);
	}
	EXPECT_GT(first[SCORING_MICRO].low, 0) << "nine in ten is more than four in ten";
}

TEST(Difference, OfSeveralSeedsIsTheMean)
{
	std::vector<std::string> names;
	std::vector<Row> good_rows = long_tail(names, 9), bad_rows = long_tail(names, 4);
	std::vector<char> head = first_are_head(names.size(), 2);
	Scored good(ANSWER_CLASS, names, head, good_rows), bad(ANSWER_CLASS, names, head, bad_rows);
	const scoring *two[] = {&good.result, &bad.result}, *turned[] = {&bad.result, &good.result};
	const scoring *bads[] = {&bad.result, &bad.result}, *one = &good.result, *other = &bad.result;
	metrics_interval half[SCORING_FIGURES], whole[SCORING_FIGURES], none[SCORING_FIGURES];
	err error = {};
	ASSERT_EQ(0, scoring_difference(half, two, bads, 2, 500, 5, &error)) << error.message;
	ASSERT_EQ(0, scoring_difference(whole, &one, &other, 1, 500, 5, &error)) << error.message;
	ASSERT_EQ(0, scoring_difference(none, two, turned, 2, 500, 5, &error)) << error.message;
	for (int f = 0; f < SCORING_FIGURES; f++) {
		EXPECT_NEAR(half[f].low, whole[f].low / 2, 1e-12);
		EXPECT_NEAR(half[f].high, whole[f].high / 2, 1e-12);
		EXPECT_NEAR(0, none[f].low, 1e-15);
		EXPECT_NEAR(0, none[f].high, 1e-15);
	}
}

TEST(Difference, OtherExamplesAreRefused)
{
	std::vector<std::string> names;
	std::vector<Row> rows = long_tail(names, 9);
	std::vector<char> head = first_are_head(names.size(), 2);
	Scored all(ANSWER_CLASS, names, head, rows);
	rows.pop_back();
	Scored fewer(ANSWER_CLASS, names, head, rows);
	metrics_interval difference[SCORING_FIGURES];
	err error = {};
	rows.push_back(rows.front());
	Scored others(ANSWER_CLASS, names, head, rows);
	const scoring *all_one = &all.result;
	for (const scoring *b : {&fewer.result, &others.result}) {
		error.code = 0;
		EXPECT_EQ(-1, scoring_difference(difference, &all_one, &b, 1, 10, 5, &error));
		EXPECT_EQ(ERR_DATA, error.code);
	}
}

} // namespace
