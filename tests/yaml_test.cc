// SPDX-License-Identifier: Apache-2.0
/* The plan file's YAML: what is refused and on which line, replacement of variables, typed values. */
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <unistd.h>

#include "src/base/yamlio.h"

using namespace std::string_literals;

namespace {

struct Doc {
	explicit Doc(const std::string &text) : doc(yaml_parse("plan.yaml", text.data(), text.size(), &err)) {}
	~Doc() { yaml_close(doc); }
	Doc(const Doc &) = delete;
	const struct yaml_node *at(const char *key) const { return yaml_find(yaml_root(doc), key); }
	struct err err = {};
	struct yaml *doc;
};

struct Refused {
	std::string text;
	size_t line;
	const char *rule;
};

std::string nested(int depth)
{
	return "a: " + std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
}

void expect_message(const struct err &err, size_t line, const char *rule, const std::string &text)
{
	std::string got = err.message, where = "plan.yaml:" + std::to_string(line) + ": ";
	EXPECT_EQ(err.code, ERR_CONFIG) << text.substr(0, 80);
	EXPECT_EQ(got.substr(0, where.size()), where) << text.substr(0, 80) << "\n" << got;
	EXPECT_NE(got.find(rule), std::string::npos) << text.substr(0, 80) << "\n" << got;
}

TEST(Yaml, RefusesWithLineAndRule)
{
	const std::vector<Refused> cases = {
		{"", 1, "empty"},
		{"# only a comment\n", 1, "empty"},
		{"a: 1\nb: *x\n", 2, "aliases"},
		{"a: &x 1\n", 1, "anchors"},
		{"a: 1\nb: &x [1]\n", 2, "anchors"},
		{"a: 1\nb: &x {c: 1}\n", 2, "anchors"},
		{"&k a: 1\n", 1, "anchors"},
		{"a: 1\nb: !!str 2\n", 2, "tags"},
		{"a: !local x\n", 1, "tags"},
		{"a: ! x\n", 1, "tags"},
		{"a: !!seq [1]\n", 1, "tags"},
		{"a: !!map {b: 1}\n", 1, "tags"},
		{"!!str a: 1\n", 1, "tags"},
		{"a: 1\n---\nb: 1\n", 2, "second document"},
		{"a: 1\n...\n---\nb: 1\n", 3, "second document"},
		{"%YAML 1.1\n---\na: 1\n", 1, "directives"},
		{"%TAG ! tag:x,2000:\n---\na: 1\n", 1, "directives"},
		{"a: 1\nb: 2\na: 3\n", 3, "duplicate key 'a'"},
		{"a: 1\n\"a\": 3\n", 2, "duplicate key 'a'"},
		{"x:\n  b: 1\n  c: 2\n  b: 3\n", 4, "duplicate key 'b'"},
		{"x: {b: 1, c: 2,\n b: 3}\n", 2, "duplicate key 'b'"},
		{"c: 1\nb: 1\nb: 2\nc: 2\n", 3, "duplicate key 'b'"},
		{"a:\n  - x: 1\n    x: 2\n", 3, "duplicate key 'x'"},
		{"[a]: 1\n", 1, "a key must be text"},
		{"a: 1\n{b: 1}: 2\n", 2, "a key must be text"},
		{"? [a]\n: 1\n", 1, "a key must be text"},
		{"a: 1\n? ~\n: 2\n", 2, "a key must be text"},
		{"a: 1\n: 2\n", 2, "not YAML"},
		{"~: 2\n", 1, "a key must be text"},
		{"null: 2\n", 1, "a key must be text"},
		{nested(32), 1, "deeper than 32"},
		{nested(5000), 1, "deeper than 32"},
		{"a: 1\nb: \"x\\0y\"\n", 2, "NUL"},
		{"\"a\\0b\": 1\n", 1, "NUL"},
		{"a: 1\nb: \xFF\n", 2, "bad UTF-8"},
		{"a: \xC0\x80\n", 1, "bad UTF-8"},
		{"a: 1\nb: 2\nc: \xED\xA0\x80\n", 3, "bad UTF-8"},
		{"# \x80\n", 1, "bad UTF-8"},
		{"a: 1\nb: \x01\n", 2, "not YAML"},
		{"a: 1\nb: \0\n"s, 2, "not YAML"},
		{"a: [1, 2\nb: 3\n", 2, "not YAML"},
		{"a: {b: 1\n", 2, "not YAML"},
		{"a: 1\n  b: 2\n", 2, "not YAML"},
		{"a: 1\n\tb: 2\n", 2, "not YAML"},
		{"a: \"x\n", 2, "not YAML"},
		{"a: 'x\n", 2, "not YAML"},
		{"a: 1\nb: \"\\q\"\n", 2, "not YAML"},
		{"a: @x\n", 1, "not YAML"},
		{"a: 1\nb\n", 3, "not YAML"},
		{"- 1\na: 2\n", 2, "not YAML"},
		{"a: 1\nb: ${BALDISTILL_TEST_UNSET}\n", 2, "'BALDISTILL_TEST_UNSET' is not set"},
		{"a:\n  - x\n  - \"${BALDISTILL_TEST_UNSET}\"\n", 3, "'BALDISTILL_TEST_UNSET' is not set"},
		{"a: ${\n", 1, "does not name a variable"},
		{"a: ${}\n", 1, "does not name a variable"},
		{"a: ${1A}\n", 1, "does not name a variable"},
		{"a: ${A B}\n", 1, "does not name a variable"},
		{"a: ${A-b}\n", 1, "does not name a variable"},
		{"a: ${" + std::string(200, 'A') + "}\n", 1, "does not name a variable"},
		{"a: ${BALDISTILL_TEST_BAD}\n", 1, "'BALDISTILL_TEST_BAD' is not UTF-8"},
		{"a: 1\n#" + std::string(1 << 20, 'x'), 1, "larger than 1048576"},
	};
	setenv("BALDISTILL_TEST_BAD", "\xFF", 1);
	for (const Refused &c : cases) {
		Doc doc(c.text);
		EXPECT_EQ(doc.doc, nullptr) << c.text.substr(0, 80);
		expect_message(doc.err, c.line, c.rule, c.text);
	}
}

TEST(Yaml, KeepsTheTreeInFileOrder)
{
	Doc doc("# plan\nb: 1\na:\n  - x\n  - {k: 'v'}\n\nc:\nd: ~\ne: null\nf: ''\n");
	ASSERT_NE(doc.doc, nullptr) << doc.err.message;
	const struct yaml_node *root = yaml_root(doc.doc), *list = doc.at("a");
	ASSERT_EQ(root->kind, YAML_MAP);
	EXPECT_EQ(root->count, 6u);
	EXPECT_STREQ(root->first->name, "b");
	EXPECT_EQ(root->first->line, 2u);
	EXPECT_STREQ(root->first->next->name, "a");
	ASSERT_NE(list, nullptr);
	ASSERT_EQ(list->kind, YAML_LIST);
	EXPECT_EQ(list->count, 2u);
	EXPECT_EQ(list->key_line, 3u);
	EXPECT_EQ(list->first->line, 4u);
	EXPECT_STREQ(list->first->name, "a");
	EXPECT_EQ(list->first->next->kind, YAML_MAP);
	EXPECT_STREQ(list->first->next->first->text, "v");
	EXPECT_EQ(list->first->next->first->line, 5u);
	for (const char *key : {"c", "d", "e", "gone"})
		EXPECT_EQ(doc.at(key), nullptr) << key;
	ASSERT_NE(doc.at("f"), nullptr);
	EXPECT_TRUE(doc.at("f")->quoted);
	EXPECT_EQ(yaml_find(list, "k"), nullptr);
}

TEST(Yaml, AcceptsTheDeepestAndManyKeys)
{
	EXPECT_NE(Doc(nested(31)).doc, nullptr);
	EXPECT_NE(Doc("\xEF\xBB\xBF" "a: 1\n").doc, nullptr);
	EXPECT_NE(Doc("---\na: 1\n...\n").doc, nullptr);
	EXPECT_NE(Doc("a: 1\r\nb: 2\r\n").doc, nullptr);
	std::string many;
	for (int i = 0; i < 50000; i++)
		many += "k" + std::to_string(i) + ": 1\n";
	EXPECT_NE(Doc(many).doc, nullptr);
	many += "k9: 1\n";
	Doc doc(many);
	expect_message(doc.err, 50001, "duplicate key 'k9'", "many keys");
}

TEST(Yaml, ReplacesVariablesAndKeepsWhatWasWritten)
{
	struct Case {
		const char *written, *text, *verbatim;
	};
	const Case cases[] = {
		{"${BALDISTILL_TEST_A}", "one", "${BALDISTILL_TEST_A}"},
		{"x${BALDISTILL_TEST_A}y${BALDISTILL_TEST_B}z", "xoney${BALDISTILL_TEST_A}z",
		 "x${BALDISTILL_TEST_A}y${BALDISTILL_TEST_B}z"},
		{"'${BALDISTILL_TEST_A}'", "one", "${BALDISTILL_TEST_A}"},
		{"\"\\u00e9${BALDISTILL_TEST_A}\"", "\xC3\xA9one", "\xC3\xA9${BALDISTILL_TEST_A}"},
		{"$${BALDISTILL_TEST_A}", "${BALDISTILL_TEST_A}", "$${BALDISTILL_TEST_A}"},
		{"$${", "${", "$${"},
		{"$$${x}", "$${x}", "$$${x}"},
		{"$ 5 $$ $x }", "$ 5 $$ $x }", "$ 5 $$ $x }"},
		{"$", "$", "$"},
		{"${BALDISTILL_TEST_EMPTY}", "", "${BALDISTILL_TEST_EMPTY}"},
	};
	setenv("BALDISTILL_TEST_A", "one", 1);
	setenv("BALDISTILL_TEST_B", "${BALDISTILL_TEST_A}", 1); /* not replaced again */
	setenv("BALDISTILL_TEST_EMPTY", "", 1);
	for (const Case &c : cases) {
		Doc doc("k: "s + c.written + "\n");
		ASSERT_NE(doc.doc, nullptr) << doc.err.message;
		ASSERT_NE(doc.at("k"), nullptr) << c.written;
		EXPECT_STREQ(doc.at("k")->text, c.text);
		EXPECT_STREQ(doc.at("k")->verbatim, c.verbatim);
	}
	Doc key("${BALDISTILL_TEST_A}: 1\n");
	ASSERT_NE(key.doc, nullptr);
	EXPECT_NE(key.at("${BALDISTILL_TEST_A}"), nullptr);
}

TEST(Yaml, ReplacementIsBounded)
{
	setenv("BALDISTILL_TEST_LONG", std::string(100000, 'x').c_str(), 1);
	std::string text = "a: b\nk: ";
	for (int i = 0; i < 11; i++)
		text += "${BALDISTILL_TEST_LONG}";
	Doc doc(text);
	EXPECT_EQ(doc.doc, nullptr);
	expect_message(doc.err, 2, "more than 1048576 bytes", text);
}

TEST(Yaml, SecretsAreNotShown)
{
	setenv("BALDISTILL_TEST_SECRET", "hunter2", 1);
	Doc doc("k: ${BALDISTILL_TEST_SECRET}\n");
	struct err err = {};
	int64_t i;
	EXPECT_EQ(yaml_get_int64(doc.at("k"), 0, 9, &i, &err), -1);
	EXPECT_STREQ(err.message, "plan.yaml:1: 'k' must be an integer from 0 to 9, found '${BALDISTILL_TEST_SECRET}'");
}

enum Type { STRING, INT, DOUBLE, BOOL, SIZE, WORD, STRINGS };

const char *const words[] = {"lora", "full", nullptr};

/* The value as text, or "error". */
std::string get(const struct yaml_node *node, Type type, struct err *err)
{
	const char *s = nullptr, **list = nullptr;
	int64_t i = 0;
	double d = 0;
	bool b = false;
	size_t n = 0;
	std::string out;

	switch (type) {
	case STRING: return yaml_get_string(node, &s, err) ? "error" : s;
	case INT: return yaml_get_int64(node, -10, INT64_MAX, &i, err) ? "error" : std::to_string(i);
	case DOUBLE: return yaml_get_double(node, -1, 1e300, &d, err) ? "error" : std::to_string(d);
	case BOOL: return yaml_get_bool(node, &b, err) ? "error" : std::to_string(b);
	case SIZE: return yaml_get_size(node, &n, err) ? "error" : std::to_string(n);
	case WORD: return yaml_get_word(node, words, &n, err) ? "error" : std::to_string(n);
	default: break;
	}
	if (yaml_get_strings(node, &list, &n, err))
		return "error";
	for (size_t item = 0; item < n; item++)
		out += list[item] + ";"s;
	free(list);
	return out;
}

TEST(Yaml, TypedValues)
{
	struct Case {
		Type type;
		const char *written, *value; /* NULL: refused */
	};
	setenv("BALDISTILL_TEST_FIVE", "5", 1);
	const Case cases[] = {
		{STRING, "abc", "abc"},
		{STRING, "'4.10'", "4.10"},
		{STRING, "4.10", "4.10"},
		{STRING, "true", "true"},
		{STRING, "''", ""},
		{STRING, "|\n  two\n  lines", "two\nlines\n"},
		{STRING, "[a]", nullptr},
		{STRING, "{a: 1}", nullptr},
		{INT, "0", "0"},
		{INT, "-10", "-10"},
		{INT, "9223372036854775807", "9223372036854775807"},
		{INT, "${BALDISTILL_TEST_FIVE}", "5"},
		{INT, "-11", nullptr},
		{INT, "9223372036854775808", nullptr},
		{INT, "99999999999999999999999", nullptr},
		{INT, "'5'", nullptr},
		{INT, "\"5\"", nullptr},
		{INT, "5.0", nullptr},
		{INT, "1e3", nullptr},
		{INT, "+5", nullptr},
		{INT, "05", nullptr},
		{INT, "0x10", nullptr},
		{INT, "1_000", nullptr},
		{INT, "1,000", nullptr},
		{INT, "five", nullptr},
		{INT, "true", nullptr},
		{INT, "[5]", nullptr},
		{DOUBLE, "0.5", "0.500000"},
		{DOUBLE, "2.0e-4", "0.000200"},
		{DOUBLE, "-1", "-1.000000"},
		{DOUBLE, "-1.0000001", nullptr},
		{DOUBLE, "1e301", nullptr},
		{DOUBLE, "1e999", nullptr},
		{DOUBLE, ".5", nullptr},
		{DOUBLE, "5.", nullptr},
		{DOUBLE, ".nan", nullptr},
		{DOUBLE, ".inf", nullptr},
		{DOUBLE, "NaN", nullptr},
		{DOUBLE, "'0.5'", nullptr},
		{DOUBLE, "{a: 1}", nullptr},
		{BOOL, "true", "1"},
		{BOOL, "false", "0"},
		{BOOL, "yes", nullptr},
		{BOOL, "on", nullptr},
		{BOOL, "True", nullptr},
		{BOOL, "1", nullptr},
		{BOOL, "'true'", nullptr},
		{SIZE, "0", "0"},
		{SIZE, "1048576", "1048576"},
		{SIZE, "64KiB", "65536"},
		{SIZE, "512MiB", "536870912"},
		{SIZE, "8GiB", "8589934592"},
		{SIZE, "1TiB", "1099511627776"},
		{SIZE, "16777216TiB", nullptr},
		{SIZE, "18446744073709551616", nullptr},
		{SIZE, "8GB", nullptr},
		{SIZE, "8gib", nullptr},
		{SIZE, "8 GiB", nullptr},
		{SIZE, "-1", nullptr},
		{SIZE, "1.5GiB", nullptr},
		{SIZE, "GiB", nullptr},
		{SIZE, "08GiB", nullptr},
		{SIZE, "'8GiB'", nullptr},
		{WORD, "lora", "0"},
		{WORD, "'full'", "1"},
		{WORD, "Lora", nullptr},
		{WORD, "lor", nullptr},
		{WORD, "[lora]", nullptr},
		{STRINGS, "[a, 'b c', 3]", "a;b c;3;"},
		{STRINGS, "\n - x\n - y", "x;y;"},
		{STRINGS, "[]", ""},
		{STRINGS, "a", nullptr},
		{STRINGS, "[a, [b]]", nullptr},
		{STRINGS, "[a, ~]", nullptr},
	};
	for (const Case &c : cases) {
		Doc doc("# one\nk: "s + c.written + "\n");
		struct err err = {};
		ASSERT_NE(doc.doc, nullptr) << doc.err.message;
		ASSERT_NE(doc.at("k"), nullptr) << c.written;
		EXPECT_EQ(get(doc.at("k"), c.type, &err), c.value ? c.value : "error") << c.written;
		if (!c.value)
			expect_message(err, 2, "'k' must be", c.written);
	}
}

TEST(Yaml, BoundsAreInclusive)
{
	Doc doc("i: 7\nd: 0.5\n");
	int64_t i = 0;
	double d = 0;
	EXPECT_EQ(yaml_get_int64(doc.at("i"), 7, 7, &i, nullptr), 0);
	EXPECT_EQ(yaml_get_int64(doc.at("i"), 0, 6, &i, nullptr), -1);
	EXPECT_EQ(yaml_get_int64(doc.at("i"), 8, 9, &i, nullptr), -1);
	EXPECT_EQ(yaml_get_double(doc.at("d"), 0.5, 0.5, &d, nullptr), 0);
	EXPECT_EQ(yaml_get_double(doc.at("d"), 0, 0.49, &d, nullptr), -1);
	EXPECT_EQ(yaml_get_double(doc.at("d"), 0.51, 1, &d, nullptr), -1);
	EXPECT_EQ(i, 7);
	EXPECT_EQ(d, 0.5);
}

TEST(Yaml, MessagesSayWhatWasExpected)
{
	Doc doc("type: none\nn: '5'\nlist:\n  a: 1\nesc: \"\\e[31m\"\n");
	struct err err = {};
	get(doc.at("type"), WORD, &err);
	EXPECT_STREQ(err.message, "plan.yaml:1: 'type' must be one of lora, full, found 'none'");
	get(doc.at("n"), INT, &err);
	EXPECT_STREQ(err.message,
		     "plan.yaml:2: 'n' must be an integer from -10 to 9223372036854775807, found the text '5'");
	get(doc.at("list"), STRINGS, &err);
	EXPECT_STREQ(err.message, "plan.yaml:4: 'list' must be a list, found a map");
	get(doc.at("esc"), BOOL, &err);
	EXPECT_EQ(std::string(err.message).find('\x1b'), std::string::npos);
	EXPECT_EQ(yaml_need(doc.at("list"), "a", &err), doc.at("list")->first);
	EXPECT_EQ(yaml_need(doc.at("list"), "b", &err), nullptr);
	EXPECT_STREQ(err.message, "plan.yaml:3: 'b' is missing in 'list'");
	EXPECT_EQ(yaml_need(yaml_root(doc.doc), "seed", &err), nullptr);
	EXPECT_STREQ(err.message, "plan.yaml:1: 'seed' is missing in 'the top level'");
}

TEST(Yaml, UnknownKeysAndSuggestions)
{
	const char *const allowed[] = {"budget", "lora_r", "lora_alpha", "id", "seed", nullptr};
	struct Case {
		const char *key, *suggestion;
	};
	const Case cases[] = {
		{"budgt", "budget"}, {"bugdet", "budget"}, {"Budget", "budget"},     {"lora_x", "lora_r"},
		{"sed", "seed"},     {"seeds", "seed"},	   {"loraalpha", "lora_alpha"}, {"ix", "id"},
		{"on", nullptr},     {"x", nullptr},	   {"bxxxet", nullptr},	      {"training", nullptr},
	};
	for (const Case &c : cases) {
		Doc doc("budget: 1\nseed: 2\n"s + c.key + ":\n  3\n");
		struct err err = {};
		EXPECT_EQ(yaml_check_keys(yaml_root(doc.doc), allowed, &err), -1) << c.key;
		std::string want = "plan.yaml:3: unknown key '"s + c.key + "'";
		EXPECT_EQ(err.message, c.suggestion ? want + "; did you mean '" + c.suggestion + "'?" : want);
		EXPECT_EQ(err.code, ERR_CONFIG);
	}
	Doc good("seed:\nbudget: 1\n");
	EXPECT_EQ(yaml_check_keys(yaml_root(good.doc), allowed, nullptr), 0);
	Doc list("a: [1]\n");
	struct err err = {};
	EXPECT_EQ(yaml_check_keys(list.at("a"), allowed, &err), -1);
	EXPECT_STREQ(err.message, "plan.yaml:1: 'a' must be a map, found a list");
	std::string longer(300, 'k');
	Doc long_key(longer + ": 1\n");
	EXPECT_EQ(yaml_check_keys(yaml_root(long_key.doc), allowed, &err), -1);
	EXPECT_LT(std::string(err.message).size(), 200u);
}

TEST(Yaml, LoadsAFile)
{
	char path[] = "/tmp/baldistill-yaml-XXXXXX";
	int fd = mkstemp(path);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(write(fd, "a: 5\n", 5), 5);
	struct err err = {};
	struct yaml *doc = yaml_load(path, &err);
	ASSERT_NE(doc, nullptr) << err.message;
	EXPECT_EQ(get(yaml_find(yaml_root(doc), "a"), INT, &err), "5");
	EXPECT_STREQ(yaml_root(doc)->file, path);
	yaml_close(doc);

	ASSERT_EQ(ftruncate(fd, YAML_MAX_BYTES + 1), 0);
	EXPECT_EQ(yaml_load(path, &err), nullptr);
	EXPECT_EQ(err.code, ERR_CONFIG) << err.message;
	close(fd);
	unlink(path);
	EXPECT_EQ(yaml_load(path, &err), nullptr);
	EXPECT_EQ(err.code, ERR_NOINPUT) << err.message;
}

} // namespace
