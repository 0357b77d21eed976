// SPDX-License-Identifier: Apache-2.0
// Examples and their domains: what is read and refused, what is drawn, what pool and test have in common.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <sys/stat.h>

#include "src/dataset/chart.h"
#include "src/dataset/examples.h"
#include "tests/temporary.h"

namespace
{

struct Loaded {
	Temporary dir;
	std::string path;
	examples set;
	struct err err = {};
	int rc;

	explicit Loaded(const std::string &text, answer_type type = ANSWER_CLASS,
			const example_fields *fields = nullptr)
	    : path(dir / "rows.jsonl")
	{
		write_file(path, text);
		rc = examples_load(&set, path.c_str(), type, fields, &err);
	}
	~Loaded()
	{
		examples_release(&set);
	}
	/* The message without the folder, "ok" where there is none. */
	std::string message() const
	{
		std::string text = rc ? err.message : "ok";
		return text.rfind(dir.path, 0) == 0 ? text.substr(dir.path.size() + 1) : text;
	}
	std::string domains() const
	{
		std::string text;
		for (size_t d = 0; d < set.l; d++)
			text += std::string(set.domain[d].name) + ":" + std::to_string(set.domain[d].n) + " ";
		return text;
	}
};

std::string row(const std::string &input, const std::string &label, const std::string &more = "")
{
	return "{\"input\": \"" + input + "\", \"label\": \"" + label + "\"" + more + "}\n";
}

/* Rows of domains a, b, c ... with these sizes, each input its own. */
std::string rows_of(const std::vector<int> &sizes)
{
	std::string text;
	for (size_t d = 0; d < sizes.size(); d++)
		for (int i = 0; i < sizes[d]; i++)
			text += row("text " + std::to_string(i) + " of " + std::to_string(d),
				    std::string(1, (char)('a' + d)));
	return text;
}

std::vector<std::string> inputs(const examples &set)
{
	std::vector<std::string> list;
	for (size_t i = 0; i < set.n; i++)
		list.push_back(set.row[i].input);
	return list;
}

/* Every row under the domain of its label, every domain's count true, domains in order. */
void expect_sound(const examples &set)
{
	std::vector<size_t> count(set.l, 0);
	for (size_t i = 0; i < set.n; i++) {
		ASSERT_LT(set.row[i].domain, set.l);
		count[set.row[i].domain]++;
		EXPECT_STREQ(set.row[i].label, set.domain[set.row[i].domain].name);
	}
	for (size_t d = 0; d < set.l; d++) {
		EXPECT_EQ(count[d], set.domain[d].n);
		EXPECT_GT(set.domain[d].n, 0u);
		if (d) {
			bool larger = set.domain[d - 1].n > set.domain[d].n;
			bool level = set.domain[d - 1].n == set.domain[d].n;
			EXPECT_TRUE(larger || (level && std::string(set.domain[d - 1].name) < set.domain[d].name));
		}
	}
}

TEST(Examples, SortsDomainsBySizeThenName)
{
	Loaded l(row("1", "z") + row("2", "b") + row("3", "B") + row("4", "b") + row("5", "a"));
	ASSERT_EQ("ok", l.message());
	EXPECT_EQ("b:2 B:1 a:1 z:1 ", l.domains());
	expect_sound(l.set);
	EXPECT_EQ(1, l.set.row[0].id.number);
	EXPECT_EQ(5u, l.set.row[4].line);
}

TEST(Examples, FindsUsualKeysAndNamedOnes)
{
	example_fields fields = {"key", "question", "gold", "kind", "options"};
	Loaded named("{\"key\": \"x\", \"question\": \"q\", \"gold\": \"B\", \"kind\": \"k\", \"options\": [\"one\", "
		     "\"two\"]}",
		     ANSWER_CHOICE, &fields);
	ASSERT_EQ("ok", named.message());
	EXPECT_STREQ("x", named.set.row[0].id.text);
	EXPECT_STREQ("q", named.set.row[0].input);
	EXPECT_STREQ("B", named.set.row[0].label);
	EXPECT_EQ("k:1 ", named.domains());
	ASSERT_EQ(2u, named.set.row[0].n_choices);
	EXPECT_STREQ("two", named.set.row[0].choices[1]);
	Loaded usual("{\"text\": \"t\", \"gt_choice\": \"A\", \"source\": \"s\", \"choices\": [\"x\", \"y\"]}",
		     ANSWER_CHOICE);
	ASSERT_EQ("ok", usual.message());
	EXPECT_EQ("s:1 ", usual.domains());
	Loaded answer("{\"input\": \"t\", \"answer\": 12.50, \"domain\": \"s\"}", ANSWER_MATH);
	ASSERT_EQ("ok", answer.message());
	EXPECT_STREQ("12.50", answer.set.row[0].label);
}

/* GSM8K's answers are solutions. */
TEST(Examples, TheLabelOfMathIsTheFinalAnswer)
{
	Loaded l(row("q", "It is 8 * 9 = <<8*9=72>>72.\\n#### 72", ", \"domain\": \"d\""), ANSWER_MATH);
	ASSERT_EQ("ok", l.message());
	EXPECT_STREQ("72", l.set.row[0].label);
	Loaded alone(row("q", "#### 72", ", \"domain\": \"d\""), ANSWER_MATH);
	EXPECT_STREQ("72", alone.set.row[0].label);
	Loaded empty(row("q", "no\\n#### \\n.\\n####", ", \"domain\": \"d\""), ANSWER_MATH);
	EXPECT_NE("ok", empty.message());
	Loaded qa(row("q", "see\\n#### 72", ", \"domain\": \"d\""), ANSWER_QA);
	EXPECT_STREQ("see\n#### 72", qa.set.row[0].label);
}

TEST(Examples, EqualRowsOfTwoDomainsStayTwo)
{
	Loaded l(row("q", "1", ", \"domain\": \"a\"") + row("q", "1", ", \"domain\": \"b\"") +
			 row("q", "1", ", \"domain\": \"a\""), ANSWER_MATH);
	ASSERT_EQ("ok", l.message());
	struct err err = {};
	size_t n;
	ASSERT_EQ(0, examples_drop_duplicates(&l.set, &n, &err));
	EXPECT_EQ(1u, n);
	EXPECT_EQ("a:1 b:1 ", l.domains());
}

/* Spreadsheets leave blanks around names, and no answer would repeat them. */
TEST(Examples, NamesLoseTheBlanksAroundThem)
{
	Loaded l(row("1", "returns ") + row("2", " returns") + row("3", "returns", ", \"domain\": \"returns \"") + row(" 4 ", "x"));
	ASSERT_EQ("ok", l.message());
	EXPECT_EQ("returns:3 x:1 ", l.domains());
	expect_sound(l.set);
	EXPECT_STREQ(" 4 ", l.set.row[3].input);
	Loaded choice(row("a", " two", ", \"domain\": \" d\\t\", \"choices\": [\"one \", \" two \"]"), ANSWER_CHOICE);
	ASSERT_EQ("ok", choice.message());
	EXPECT_EQ("d:1 ", choice.domains());
	EXPECT_STREQ("two", choice.set.row[0].choices[1]);
	Loaded number("{\"input\": \"x\", \"label\": 3, \"domain\": 3}");
	ASSERT_EQ("ok", number.message());
	EXPECT_EQ("3:1 ", number.domains());
}

TEST(Examples, RefusesBadRowsByLine)
{
	const struct {
		answer_type type;
		std::string text, message;
	} cases[] = {
		{ANSWER_CLASS, "", "rows.jsonl: no row"},
		{ANSWER_CLASS, "\n \n", "rows.jsonl: no row"},
		{ANSWER_CLASS, row("a", "b") + "{\"input\": \"x\"}",
		 "rows.jsonl:2: 'label' is missing, and so is 'answer'; another key is named by --label-field"},
		{ANSWER_CLASS, "{\"label\": \"x\"}",
		 "rows.jsonl:1: 'input' is missing, and so is 'text'; another key is named by --input-field, or task.fields.input"},
		{ANSWER_CLASS, "id,text,label\n", "rows.jsonl:1: byte 0: unexpected byte 0x69, expected a value; rows are JSON Lines"},
		{ANSWER_CLASS, "[]\n", "rows.jsonl:1: 'top level' must be an object, found an array; rows are JSON Lines"},
		{ANSWER_CLASS, row("a", "b", ", \"id\": 2") + row("c", "d"),
		 "rows.jsonl: lines 1 and 2 have the same id; a row without one has its line's number"},
		{ANSWER_CLASS, row(" ", "b"), "rows.jsonl:1: the input is empty"},
		{ANSWER_CLASS, row("a", ""), "rows.jsonl:1: the label is empty"},
		{ANSWER_CLASS, row("a", "b", ", \"domain\": \"c\""),
		 "rows.jsonl:1: domain 'c' is not the label 'b'; in a classification they are the same"},
		{ANSWER_MATH, row("a", "b"), "rows.jsonl:1: 'domain' is missing"},
		{ANSWER_CLASS, row("a", "b", ", \"id\": 1") + row("c", "d", ", \"id\": 1"),
		 "rows.jsonl: lines 1 and 2 have the same id"},
		{ANSWER_CHOICE, row("a", "C", ", \"domain\": \"d\", \"choices\": [\"x\", \"y\"]"),
		 "rows.jsonl:1: label 'C' is none of the 2 choices, neither by letter nor by text"},
		{ANSWER_CHOICE, row("a", "x", ", \"domain\": \"d\", \"choices\": [\"x\"]"),
		 "rows.jsonl:1: the list of choices needs two at least"},
		{ANSWER_CHOICE, row("a", "x", ", \"domain\": \"d\", \"choices\": [\"x\", \" \"]"),
		 "rows.jsonl:1: the choice is empty"},
		{ANSWER_CHOICE, row("a", "x", ", \"domain\": \"d\""), "rows.jsonl:1: 'choices' is missing"},
	};
	for (const auto &c : cases) {
		Loaded l(c.text, c.type);
		EXPECT_EQ(0u, l.message().find(c.message)) << l.message() << " instead of " << c.message;
		EXPECT_EQ(ERR_DATA, l.err.code);
	}
}

TEST(Examples, RefusesWrongTypesAndBrokenLines)
{
	for (const char *text :
	     {"{\"input\": 5, \"label\": \"a\"}", "{\"input\": \"x\", \"label\": true}",
	      "{\"input\": \"x\", \"label\": null}", "{\"input\": \"x\", \"label\": [\"a\"]}", "[1]", "\"x\"",
	      "{\"input\": \"x\"", "{\"input\": \"a\\u0000\", \"label\": \"b\"}",
	      "{\"input\": \"x\xff\", \"label\": \"a\"}", "{\"id\": 1.5, \"input\": \"x\", \"label\": \"a\"}",
	      "{\"input\": \"x\", \"label\": \"a\", \"domain\": 7}"}) {
		Loaded l(row("good", "a") + text);
		EXPECT_EQ(0u, l.message().find("rows.jsonl:2: ")) << l.message();
		EXPECT_EQ(ERR_DATA, l.err.code);
	}
	Loaded nul(std::string("{\"input\": \"x\", \"label\": \"a\"}\n\0\n", 32));
	EXPECT_EQ(ERR_DATA, nul.err.code);
	Loaded large("{\"input\": \"" + std::string((size_t)17 << 20, 'x') + "\", \"label\": \"a\"}");
	EXPECT_EQ(ERR_DATA, large.err.code);
}

TEST(Examples, ReadsEveryFormOfLines)
{
	Loaded l("\xef\xbb\xbf" + row("1", "a") + "\r\n\n" +
		 "{\"input\": \"2\", \"label\": \"a\"}\r\n{\"input\": \"3\", \"label\": \"b\"}");
	ASSERT_EQ("ok", l.message());
	EXPECT_EQ("a:2 b:1 ", l.domains());
}

/* A key that tells every row from the next is no domain; nor would a prompt hold so many classes. */
TEST(Examples, RefusesMoreDomainsThanAnybodyMeans)
{
	std::string text;
	for (int i = 0; i < EXAMPLES_DOMAINS; i++)
		text += row("x", "class " + std::to_string(i));
	Loaded most(text);
	EXPECT_EQ("ok", most.message());
	Loaded more(text + row("x", "one more"));
	EXPECT_EQ("rows.jsonl:10001: these are more than 10000 domains; is it the right key that names them?", more.message());
}

TEST(Examples, HeadsAreNamedInAList)
{
	Loaded l(row("1", "Home, Garden") + row("2", "b") + row("3", "c"));
	struct err err = {};
	ASSERT_EQ(0, examples_head_listed(&l.set, "Home\\, Garden,c", &err)) << err.message;
	for (size_t d = 0; d < l.set.l; d++)
		EXPECT_EQ(std::string("b") != l.set.domain[d].name, l.set.domain[d].head);
	for (const char *list : {"", "b,", "Home, Garden", "b,d"})
		EXPECT_EQ(-1, examples_head_listed(&l.set, list, &err)) << list;
	ASSERT_EQ(0, examples_keep(&l.set, "Home\\, Garden=1/2,b=1", 1, &err)) << err.message;
	EXPECT_EQ(-1, examples_keep(&l.set, "", 1, &err));
}

TEST(Examples, RefusesWhatIsNoFile)
{
	Temporary dir;
	struct err err = {};
	examples set;
	std::string fifo = dir / "fifo";
	ASSERT_EQ(0, mkfifo(fifo.c_str(), 0600));
	for (const std::string &path : {dir.path, fifo, dir / "absent"}) {
		EXPECT_EQ(-1, examples_load(&set, path.c_str(), ANSWER_CLASS, nullptr, &err));
		EXPECT_EQ(ERR_NOINPUT, err.code) << path;
		examples_release(&set);
	}
}

TEST(Examples, RefusesEqualIdsUnderTheirOwnKey)
{
	example_fields fields = {"key", nullptr, nullptr, nullptr, nullptr};
	Loaded l(row("a", "b", ", \"key\": \"x\"") + row("c", "d", ", \"key\": \"y\"") +
			 row("e", "f", ", \"key\": \"x\""),
		 ANSWER_CLASS, &fields);
	EXPECT_EQ("rows.jsonl: lines 1 and 3 have the same id", l.message());
}

TEST(Examples, DropsEqualRowsAndKeepsTheFirst)
{
	Loaded l(row("x", "a") + row("y", "a") + row("x", "b") + row("x", "a") + row("x", "a") + row("Y", "a"));
	struct err err;
	size_t n = 9;
	ASSERT_EQ(0, examples_count_duplicates(&l.set, &n, &err));
	EXPECT_EQ(2u, n);
	EXPECT_EQ(6u, l.set.n);
	ASSERT_EQ(0, examples_drop_duplicates(&l.set, &n, &err));
	EXPECT_EQ(2u, n);
	EXPECT_EQ((std::vector<std::string>{"x", "y", "x", "Y"}), inputs(l.set));
	EXPECT_EQ(1u, l.set.row[0].line);
	EXPECT_EQ("a:3 b:1 ", l.domains());
	expect_sound(l.set);
}

TEST(Examples, MarksTheHead)
{
	Loaded l(rows_of({60, 51, 50, 1}));
	struct err err = {};
	examples_head_above(&l.set, 50);
	EXPECT_TRUE(l.set.domain[0].head && l.set.domain[1].head);
	EXPECT_FALSE(l.set.domain[2].head || l.set.domain[3].head);
	const char *names[] = {"d", "a"};
	ASSERT_EQ(0, examples_head_named(&l.set, names, 2, &err));
	EXPECT_TRUE(l.set.domain[0].head && l.set.domain[3].head);
	EXPECT_FALSE(l.set.domain[1].head || l.set.domain[2].head);
	names[0] = "e";
	EXPECT_EQ(-1, examples_head_named(&l.set, names, 2, &err));
	EXPECT_NE(nullptr, strstr(err.message, "domain 'e' has no row"));
}

TEST(Examples, ExpectsExactlyTheNamedDomains)
{
	Loaded l(rows_of({3, 2}));
	struct err err = {};
	const char *names[] = {"b", "a", "c"};
	EXPECT_EQ(0, examples_expect_domains(&l.set, names, 2, &err));
	EXPECT_EQ(-1, examples_expect_domains(&l.set, names, 3, &err));
	EXPECT_NE(nullptr, strstr(err.message, ": domain 'c' has no row")) << err.message;
	EXPECT_EQ(-1, examples_expect_domains(&l.set, names, 1, &err));
	EXPECT_NE(nullptr, strstr(err.message, ":1: domain 'a' is not in the list of domains")) << err.message;
}

TEST(Examples, SplitsEachDomainAndKeepsOneRow)
{
	for (double fraction : {0.01, 0.2, 0.5, 0.99}) {
		Loaded l(rows_of({100, 41, 7, 2, 1}));
		struct err err;
		examples test;
		auto before = inputs(l.set);
		ASSERT_EQ(0, examples_split(&test, &l.set, fraction, 5, &err));
		expect_sound(l.set);
		expect_sound(test);
		std::map<std::string, size_t> left;
		for (size_t d = 0; d < l.set.l; d++)
			left[l.set.domain[d].name] = l.set.domain[d].n;
		size_t sizes[] = {100, 41, 7, 2, 1};
		for (size_t d = 0; d < 5; d++) {
			size_t taken = std::min((size_t)std::round(fraction * (double)sizes[d]), sizes[d] - 1);
			EXPECT_EQ(sizes[d] - taken, left[std::string(1, (char)('a' + d))]) << fraction;
		}
		auto both = inputs(l.set);
		for (const auto &input : inputs(test))
			both.push_back(input);
		std::sort(both.begin(), both.end());
		std::sort(before.begin(), before.end());
		EXPECT_EQ(before, both);
		examples_release(&test);
	}
}

TEST(Examples, SplitDependsOnSeedAndIdsAlone)
{
	std::string a, b;
	for (int i = 0; i < 40; i++) {
		std::string one =
			row(std::to_string(i), i % 3 ? "x" : "y", ", \"id\": \"id-" + std::to_string(i) + "\"");
		a += one;
		b = one + b;
	}
	std::set<std::string> drawn[3];
	std::string texts[] = {a, b, a};
	for (int k = 0; k < 3; k++) {
		Loaded l(texts[k]);
		struct err err;
		examples test;
		ASSERT_EQ(0, examples_split(&test, &l.set, 0.3, k == 2 ? 8 : 7, &err));
		for (const auto &input : inputs(test))
			drawn[k].insert(input);
		examples_release(&test);
	}
	EXPECT_EQ(drawn[0], drawn[1]) << "another order of the rows";
	EXPECT_NE(drawn[0], drawn[2]) << "another seed";
}

TEST(Examples, RefusesFractionsThatAreNone)
{
	Loaded l(rows_of({4}));
	for (double fraction : {0.0, 1.0, -0.1, 2.0, (double)NAN}) {
		struct err err;
		examples test;
		EXPECT_EQ(-1, examples_split(&test, &l.set, fraction, 1, &err));
		EXPECT_EQ(ERR_CONFIG, err.code);
		EXPECT_EQ(4u, l.set.n);
		examples_release(&test);
	}
	struct err err;
	EXPECT_EQ(-1, examples_zipf(&l.set, 0, 1, &err));
	EXPECT_EQ(-1, examples_zipf(&l.set, NAN, 1, &err));
	EXPECT_EQ(4u, l.set.n);
}

/* round(100 / j), round(100 / j^2), never more than there are, never none. */
TEST(Examples, ZipfCutsByRank)
{
	const struct {
		double alpha;
		std::string domains;
	} cases[] = {{1, "a:100 b:50 c:33 d:20 e:1 "},
		     {2, "a:100 b:25 c:11 d:6 e:1 "},
		     {0.001, "a:100 b:90 c:80 d:20 e:1 "},
		     {50, "a:100 b:1 c:1 d:1 e:1 "}};
	for (const auto &c : cases) {
		Loaded l(rows_of({100, 90, 80, 20, 1}));
		struct err err;
		ASSERT_EQ(0, examples_zipf(&l.set, c.alpha, 3, &err));
		EXPECT_EQ(c.domains, l.domains());
		expect_sound(l.set);
		auto kept = inputs(l.set);
		EXPECT_EQ(kept.size(), std::set<std::string>(kept.begin(), kept.end()).size());
		for (size_t i = 1; i < l.set.n; i++)
			EXPECT_LT(l.set.row[i - 1].line, l.set.row[i].line) << "rows keep their order";
	}
}

TEST(Examples, ZipfDrawsWithTheSeed)
{
	std::vector<std::string> drawn[3];
	for (int k = 0; k < 3; k++) {
		Loaded l(rows_of({100, 90}));
		struct err err;
		ASSERT_EQ(0, examples_zipf(&l.set, 1, k == 2 ? 4 : 3, &err));
		drawn[k] = inputs(l.set);
	}
	EXPECT_EQ(drawn[0], drawn[1]);
	EXPECT_NE(drawn[0], drawn[2]);
}

TEST(Examples, KeepsSharesOfNamedDomains)
{
	const struct {
		const char *shares;
		std::string domains;
	} cases[] = {{"a=1/3,c=0.5", "c:40 a:33 b:30 "}, {"b=0.001", "a:100 c:80 b:1 "}, {"a=1", "a:100 c:80 b:30 "}};
	for (const auto &c : cases) {
		Loaded l(rows_of({100, 30, 80}));
		struct err err;
		ASSERT_EQ(0, examples_keep(&l.set, c.shares, 3, &err)) << err.message;
		EXPECT_EQ(c.domains, l.domains());
		expect_sound(l.set);
	}
	Loaded l(rows_of({100, 30}));
	for (const char *bad : {"a", "a=", "a=x", "a=0", "a=2", "a=-1", "a=1/0", "a=1/", "a=1/3x", "a=nan", "z=0.5"}) {
		struct err err;
		EXPECT_EQ(-1, examples_keep(&l.set, bad, 3, &err)) << bad;
		EXPECT_EQ(ERR_CONFIG, err.code) << bad;
		EXPECT_EQ(130u, l.set.n) << bad;
	}
}

/* Of 900 and 100 rows a tenth is drawn: 90 and 10 within five standard deviations of the hypergeometric law, 2.85. */
TEST(Examples, DrawsFromAllRowsAlike)
{
	std::vector<std::string> drawn[3];
	for (int k = 0; k < 3; k++) {
		Loaded l(rows_of({900, 100}));
		struct err err;
		ASSERT_EQ(0, examples_draw(&l.set, 2000, 3, &err));
		EXPECT_EQ(1000u, l.set.n) << "no more than there are";
		ASSERT_EQ(0, examples_draw(&l.set, 100, k == 2 ? 4 : 3, &err));
		ASSERT_EQ(100u, l.set.n);
		ASSERT_EQ(2u, l.set.l);
		EXPECT_NEAR(10, (double)l.set.domain[1].n, 14.2);
		EXPECT_GE(l.set.domain[1].n, 1u);
		expect_sound(l.set);
		drawn[k] = inputs(l.set);
	}
	EXPECT_EQ(drawn[0], drawn[1]);
	EXPECT_NE(drawn[0], drawn[2]);
}

TEST(Examples, FindsWhatPoolAndTestShare)
{
	const std::string text = "the board of acme said it will pay ten cts a share on may one";
	Loaded pool(row("short one", "a") + row(text + " as usual", "a") + row("other", "b") + row("Short One.", "b"));
	Loaded test(row("unseen", "a") + row("short, one", "a") + row(text, "b"));
	struct err err;
	example_pair *pair = nullptr;
	size_t n = 0;
	ASSERT_EQ(0, examples_near(&pair, &n, &pool.set, &test.set, &err));
	ASSERT_EQ(3u, n);
	EXPECT_EQ(0u, pair[0].pool);
	EXPECT_EQ(3u, pair[1].pool);
	EXPECT_EQ(1u, pair[1].test);
	EXPECT_TRUE(pair[0].equal && pair[1].equal);
	EXPECT_EQ(1u, pair[2].pool);
	EXPECT_EQ(2u, pair[2].test);
	EXPECT_FALSE(pair[2].equal);
	EXPECT_DOUBLE_EQ(1, pair[2].share);
	free(pair);
	bool drop[] = {true, true, false, true};
	ASSERT_EQ(0, examples_remove(&pool.set, drop, &err));
	EXPECT_EQ("b:1 ", pool.domains());
}

TEST(Examples, SavedRowsReadBackTheSame)
{
	std::string text =
		"{\"id\": \"a/1\", \"input\": \"q \\\"1\\\"\\n\", \"choices\": [\"x\", \"y\"], \"label\": \"B\", "
		"\"domain\": \"d\"}\n"
		"{\"id\": 7, \"input\": \"é\", \"choices\": [\"x\", \"y\"], \"label\": \"x\", \"domain\": \"e\"}\n";
	Loaded l(text, ANSWER_CHOICE);
	ASSERT_EQ("ok", l.message());
	struct err err;
	std::string path = l.dir / "out.jsonl";
	struct file_writer writer;
	ASSERT_EQ(0, file_writer_open(&writer, path.c_str(), 0600, &err)) << err.message;
	ASSERT_EQ(0, examples_write(&l.set, &writer, &err)) << err.message;
	ASSERT_EQ(0, file_writer_commit(&writer, &err)) << err.message;
	std::string saved = read_file(path);
	Loaded again(saved, ANSWER_CHOICE);
	ASSERT_EQ("ok", again.message());
	EXPECT_EQ(inputs(l.set), inputs(again.set));
	EXPECT_EQ(l.domains(), again.domains());
	EXPECT_STREQ("a/1", again.set.row[0].id.text);
	EXPECT_EQ(7, again.set.row[1].id.number);
	EXPECT_STREQ("y", again.set.row[0].choices[1]);
	EXPECT_EQ("{\"id\":7,\"input\":\"é\",\"choices\":[\"x\",\"y\"],\"label\":\"x\",\"domain\":\"e\"}\n",
		  saved.substr(saved.find('\n') + 1));
}

TEST(Chart, ShowsEveryDomainAndItsCount)
{
	Loaded l(row("1", "a<b>&c") + row("2", "a<b>&c") + row("3", "tail"));
	struct err err;
	examples_head_above(&l.set, 1);
	char *text = chart_domains(&l.set, "Rows <1>", &err);
	ASSERT_NE(nullptr, text);
	std::string svg = text;
	free(text);
	EXPECT_EQ(0u, svg.find("<svg xmlns=\"http://www.w3.org/2000/svg\""));
	EXPECT_NE(std::string::npos, svg.find(">a&lt;b&gt;&amp;c</text>"));
	EXPECT_NE(std::string::npos, svg.find("<title>Rows &lt;1&gt;</title>"));
	EXPECT_NE(std::string::npos, svg.find("width=\"440.0\" height=\"12\" fill=\"#1f4e79\"/>"))
		<< "the longest bar, head";
	EXPECT_NE(std::string::npos, svg.find("width=\"277.6\" height=\"12\" fill=\"#8db3d9\"/>"))
		<< "440 ln 2 / ln 3, tail";
	EXPECT_NE(std::string::npos, svg.find(">3 examples in 2 domains"));
	EXPECT_EQ(std::string::npos, svg.find("a<b"));
	std::string name = "questions about " + std::string(80, 'x');
	Loaded named(row("1", name));
	text = chart_domains(&named.set, "t", &err);
	ASSERT_NE(nullptr, text);
	EXPECT_NE(nullptr, strstr(text, ">questions about xxxxxxxxxxxxxxx...</text>")) << "its beginning, as far as it fits";
	free(text);
	EXPECT_DOUBLE_EQ(1, chart_share(9, 9));
	EXPECT_DOUBLE_EQ(0.5, chart_share(9, 99));
	EXPECT_DOUBLE_EQ(0, chart_share(0, 0));
}

} // namespace
