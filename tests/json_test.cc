// SPDX-License-Identifier: Apache-2.0
/*
 * The strict JSON reader and the writer. Tables of texts with the offset that a
 * refusal must name; a second, independent reader compared with the getters;
 * round trips of random values.
 */
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "src/base/jsonio.h"
#include "tests/short_memory.h"

using namespace std::string_literals;

namespace {

struct Refused {
	std::string text;
	size_t at;
	const char *rule;
};

std::string nested(size_t depth)
{
	return std::string(depth, '[') + std::string(depth, ']');
}

const std::vector<Refused> refused = {
	/* truncated */
	{"", 0, "ends too early"},
	{" \n", 2, "ends too early"},
	{"{", 1, "ends too early"},
	{"[", 1, "ends too early"},
	{"[1", 2, "ends too early"},
	{"[1,", 3, "ends too early"},
	{"{\"a\"", 4, "ends too early"},
	{"{\"a\":", 5, "ends too early"},
	{"{\"a\":1", 6, "ends too early"},
	{"{\"a\":1,", 7, "ends too early"},
	{"\"abc", 4, "ends too early"},
	{"\"a\\", 3, "ends too early"},
	{"\"\\u12", 5, "ends too early"},
	{"\"\\ud83d\\u1", 10, "ends too early"},
	{"-", 1, "ends too early"},
	{"1.", 2, "ends too early"},
	{"1e", 2, "ends too early"},
	{"1e+", 3, "ends too early"},
	{"tru", 3, "ends too early"},
	{"[nul", 4, "ends too early"},
	/* trailing */
	{"1 2", 2, "trailing bytes"},
	{"{} x", 3, "trailing bytes"},
	{"[]]", 2, "trailing bytes"},
	{"null,", 4, "trailing bytes"},
	{"1\0"s, 1, "trailing bytes"},
	{"{}\n\0"s, 3, "trailing bytes"},
	{"\"a\"\"b\"", 3, "trailing bytes"},
	/* separators */
	{"[1,]", 3, "trailing comma"},
	{"{\"a\":1,}", 7, "trailing comma"},
	{"[1, ]", 4, "trailing comma"},
	{"[,1]", 1, "expected a value"},
	{"[1,,2]", 3, "expected a value"},
	{"{,}", 1, "expected a key"},
	{"{\"a\":}", 5, "expected a value"},
	{"[1 2]", 3, "expected ','"},
	{"{\"a\":1 \"b\":2}", 7, "expected ','"},
	{"[1}", 2, "expected ','"},
	{"{\"a\":1]", 6, "expected ','"},
	{"{]", 1, "expected a key"},
	{"[}", 1, "expected a value"},
	{"]", 0, "expected a value"},
	{"{\"a\" 1}", 5, "':' must follow"},
	{"{\"a\",1}", 4, "':' must follow"},
	{"{\"a\"::1}", 5, "expected a value"},
	{"{1:2}", 1, "expected a key"},
	{"{a:1}", 1, "expected a key"},
	{"{null:1}", 1, "expected a key"},
	{"[\v1]", 1, "0x0b"},
	{"[\f1]", 1, "0x0c"},
	{"\xC2\xA0" "1", 0, "0xc2"},
	/* other people's JSON */
	{"\xEF\xBB\xBF{}", 0, "byte order mark"},
	{"// x\n1", 0, "comments"},
	{"[1 /* x */]", 3, "comments"},
	{"# x\n1", 0, "comments"},
	{"['a']", 1, "single quotes"},
	{"{'a':1}", 1, "single quotes"},
	{"NaN", 0, "NaN"},
	{"[1,NaN]", 3, "NaN"},
	{"Infinity", 0, "Infinity"},
	{"[-Infinity]", 1, "Infinity"},
	{"nan", 0, "expected a value"},
	{"inf", 0, "expected a value"},
	{"True", 0, "expected a value"},
	{"nulL", 0, "expected a value"},
	{"truex", 4, "trailing bytes"},
	{"[undefined]", 1, "expected a value"},
	/* numbers */
	{"01", 0, "leading zero"},
	{"-01", 1, "leading zero"},
	{"[00]", 1, "leading zero"},
	{"00.5", 0, "leading zero"},
	{"+1", 0, "0x2b"},
	{".5", 0, "0x2e"},
	{"-.5", 1, "digit must follow"},
	{"-x", 1, "digit must follow"},
	{"--1", 1, "digit must follow"},
	{"1.e5", 2, "digit must follow"},
	{"1.x", 2, "digit must follow"},
	{"1ex", 2, "digit must follow"},
	{"1e+-5", 3, "digit must follow"},
	{"0x10", 1, "trailing bytes"},
	{"1_000", 1, "trailing bytes"},
	{"1.5.2", 3, "trailing bytes"},
	{"1e999", 0, "number out of range"},
	{"[-1e999]", 1, "number out of range"},
	{"[0, 1.8e308]", 4, "number out of range"},
	{"1.7976931348623159e308", 0, "number out of range"},
	{"18446744073709551616", 0, "integer out of range"},
	{"[-9223372036854775809]", 1, "integer out of range"},
	{"100000000000000000000000", 0, "integer out of range"},
	{"[" + std::string(1025, '1') + "]", 1, "longer than 1024"},
	{"0." + std::string(1023, '1'), 0, "longer than 1024"},
	/* strings */
	{"\"\x01\"", 1, "raw control character 0x01"},
	{"\"a\nb\"", 2, "raw control character 0x0a"},
	{"\"a\tb\"", 2, "raw control character 0x09"},
	{"\"\0\""s, 1, "raw control character 0x00"},
	{"{\"a\x1f\":1}", 3, "raw control character 0x1f"},
	{"\"\\x41\"", 1, "unknown escape"},
	{"\"\\'\"", 1, "unknown escape"},
	{"\"\\\0\""s, 1, "unknown escape"},
	{"\"\\U0041\"", 1, "unknown escape"},
	{"\"\\u12g4\"", 1, "hexadecimal"},
	{"\"\\u\"", 1, "hexadecimal"},
	{"\"\\u 123\"", 1, "hexadecimal"},
	{"\"\\u+123\"", 1, "hexadecimal"},
	{"\"ab\\ud800\"", 3, "lone surrogate \\ud800"},
	{"\"\\udc00\"", 1, "lone surrogate \\udc00"},
	{"\"\\ud800x\"", 1, "lone surrogate"},
	{"\"\\ud800\\n\"", 1, "lone surrogate"},
	{"\"\\ud800\\u0041\"", 1, "lone surrogate"},
	{"\"\\ud800\\ud800\"", 1, "lone surrogate"},
	{"\"\\ud800\\udbff\"", 1, "lone surrogate"},
	{"\"\\ud800\\ue000\"", 1, "lone surrogate"},
	{"\"\\udc00\\ud800\"", 1, "lone surrogate"},
	{"{\"\\udfff\":1}", 2, "lone surrogate"},
	{"{\"a\\u0000b\":1}", 3, "\\u0000 in a key"},
	{"{\"\\u0000\":1}", 2, "\\u0000 in a key"},
	/* UTF-8 */
	{"\"\x80\"", 1, "bad UTF-8"},
	{"\"a\xC0\x80\"", 2, "bad UTF-8"},
	{"\"\xC1\xBF\"", 1, "bad UTF-8"},
	{"\"\xE0\x80\xAF\"", 1, "bad UTF-8"},
	{"\"\xED\xA0\x80\"", 1, "bad UTF-8"},
	{"\"\xED\xBF\xBF\"", 1, "bad UTF-8"},
	{"\"\xF0\x80\x80\x80\"", 1, "bad UTF-8"},
	{"\"\xF4\x90\x80\x80\"", 1, "bad UTF-8"},
	{"\"\xF8\x88\x80\x80\x80\"", 1, "bad UTF-8"},
	{"\"\xFF\"", 1, "bad UTF-8"},
	{"\"\xC3\"", 1, "bad UTF-8"},
	{"\"\xE2\x82", 1, "bad UTF-8"},
	{"{\"\xC3(\":1}", 2, "bad UTF-8"},
	{"\xFF", 0, "0xff"},
	/* duplicate keys */
	{"{\"a\":1,\"a\":2}", 7, "duplicate key 'a'"},
	{"{\"a\":1,\"\\u0061\":2}", 7, "duplicate key 'a'"},
	{"{\"\\u00e9\":1, \"\xC3\xA9\":2}", 13, "duplicate key '\xC3\xA9'"},
	{"{\"\\ud83d\\ude00\":1,\"\xF0\x9F\x98\x80\":2}", 18, "duplicate key"},
	{"{\"\\n\":1,\"\\u000a\":2}", 8, "duplicate key"},
	{"{\"\":1,\"\":2}", 6, "duplicate key ''"},
	{"{\"/\":1,\"\\/\":2}", 7, "duplicate key '/'"},
	{"[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]", 19, "duplicate key 'a'"},
	{"{\"a\":1,\"b\":{},\"c\":0,\"b\":1,\"a\":2}", 20, "duplicate key 'b'"},
	{"{\"a\":{\"a\":1},\"a\":2}", 13, "duplicate key 'a'"},
	/* limits */
	{nested(33), 32, "deeper than 32"},
	{nested(100000), 32, "deeper than 32"},
	{std::string(100000, '['), 32, "deeper than 32"},
};

const std::vector<std::string> accepted = {
	"null",
	"true",
	"false",
	" \t\r\n0 \t\r\n",
	"-0",
	"0.0",
	"-0.0",
	"-1",
	"1.5",
	"1e5",
	"1E5",
	"1e+5",
	"1E-5",
	"-1.25e-3",
	"0e0",
	"1e-999",
	"4.9e-324",
	"1.7976931348623157e308",
	"-1.7976931348623157e308",
	"1.7976931348623158e308",
	"9223372036854775807",
	"9223372036854775808",
	"18446744073709551615",
	"-9223372036854775808",
	"123456789012345678",
	"0." + std::string(1022, '3'),
	"\"\"",
	"\"a\"",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
	"\"\\u0000\"",
	"\"a\\u0000b\"",
	"\"\\u0041\\u00e9\\u20AC\\uFFFF\"",
	"\"\\ud83d\\ude00\"",
	"\"\\uD800\\uDC00\\uDBFF\\uDFFF\"",
	"\"\\ud7ff\\ue000\"",
	"\"\x7F\"",
	"\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\"",
	"\"\xED\x9F\xBF\xEE\x80\x80\"",
	"\"\xEF\xBB\xBF\"",
	"\"// no comment, NaN, 'quoted'\"",
	"[]",
	"[ ]",
	"{}",
	"{ }",
	"[[],{},[[]]]",
	"[1,2.5,\"x\",null,true,false]",
	"{\"a\":1,\"A\":2,\"\":3,\" a\":4}",
	"{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}",
	"[{\"a\":1},{\"a\":2}]",
	"{\"b\":1,\"a\":[{\"b\":1},{\"b\":2}],\"c\":{\"b\":3}}",
	"{\"\\u00e9\":1,\"e\\u0301\":2}",
	"{\"ab\":1,\"a\":2,\"abc\":3}",
	"{\"key with \\\"quotes\\\" and \\\\\":\"\\u003c\"}",
	"{\"a\" : [ 1 , { \"b\" : null } ] }\n",
	nested(32),
};

/* A second reader, for texts known to be good: walks the text itself and compares with the getters. */
class Compare {
public:
	explicit Compare(const std::string &text) : p(text.c_str()) {}

	void value(struct json_value v)
	{
		space();
		if (*p == '{')
			object(v);
		else if (*p == '[')
			array(v);
		else if (*p == '"')
			string(v);
		else if (*p == '-' || isdigit(static_cast<unsigned char>(*p)))
			number(v);
		else
			word(v);
		space();
	}

private:
	void space() { p += strspn(p, " \t\r\n"); }

	void word(struct json_value v)
	{
		bool b = false;
		if (*p == 'n') {
			EXPECT_EQ(json_kind(v), JSON_NULL);
			p += 4;
			return;
		}
		EXPECT_EQ(json_get_bool(v, &b, nullptr), 0);
		EXPECT_EQ(b, *p == 't');
		p += *p == 't' ? 4 : 5;
	}

	void number(struct json_value v)
	{
		std::string token(p, strspn(p, "+-.0123456789eE"));
		bool integer = token.find_first_of(".eE") == std::string::npos;
		double d = 0;
		p += token.size();
		EXPECT_EQ(json_kind(v), integer ? JSON_INTEGER : JSON_DOUBLE) << token;
		ASSERT_EQ(json_get_double(v, &d, nullptr), 0) << token;
		EXPECT_EQ(d, strtod(token.c_str(), nullptr)) << token;
		if (!integer)
			return;
		int64_t i = 0;
		uint64_t u = 0;
		errno = 0;
		long long want = strtoll(token.c_str(), nullptr, 10);
		EXPECT_EQ(json_get_int64(v, &i, nullptr), errno ? -1 : 0) << token;
		EXPECT_EQ(i, errno ? 0 : want) << token;
		EXPECT_EQ(json_get_uint64(v, &u, nullptr), want < 0 ? -1 : 0) << token;
		EXPECT_EQ(u, want < 0 ? 0 : strtoull(token.c_str(), nullptr, 10)) << token;
	}

	unsigned unit()
	{
		unsigned code = static_cast<unsigned>(std::stoul(std::string(p + 2, 4), nullptr, 16));
		p += 6;
		return code;
	}

	void escape(std::string *out)
	{
		const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
		if (p[1] != 'u') {
			*out += meanings[strchr(names, p[1]) - names];
			p += 2;
			return;
		}
		unsigned c = unit();
		if (c >= 0xD800 && c < 0xDC00)
			c = 0x10000 + (c - 0xD800) * 0x400 + (unit() - 0xDC00);
		auto tail = [&](int shift) { *out += static_cast<char>(0x80 | (c >> shift & 63)); };
		if (c < 0x80) {
			*out += static_cast<char>(c);
		} else if (c < 0x800) {
			*out += static_cast<char>(0xC0 | c >> 6), tail(0);
		} else if (c < 0x10000) {
			*out += static_cast<char>(0xE0 | c >> 12), tail(6), tail(0);
		} else {
			*out += static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0);
		}
	}

	std::string quoted()
	{
		std::string out;
		for (p++; *p != '"';)
			if (*p == '\\')
				escape(&out);
			else
				out += *p++;
		p++;
		return out;
	}

	void string(struct json_value v)
	{
		const char *text = nullptr;
		size_t n = 0;
		std::string want = quoted();
		ASSERT_EQ(json_get_string(v, &text, &n, nullptr), 0);
		EXPECT_EQ(std::string(text, n), want);
		EXPECT_EQ(text[n], '\0');
		EXPECT_EQ(json_get_string(v, &text, nullptr, nullptr), want.find('\0') == std::string::npos ? 0 : -1);
	}

	void array(struct json_value v)
	{
		size_t length = 0, i = 0;
		ASSERT_EQ(json_get_length(v, &length, nullptr), 0);
		p++;
		for (space(); *p != ']'; p += *p == ',')
			value(json_at(v, i++));
		p++;
		EXPECT_EQ(i, length);
		EXPECT_EQ(json_kind(json_at(v, i)), JSON_ABSENT);
	}

	void object(struct json_value v)
	{
		struct json_iter it;
		ASSERT_EQ(json_members(v, &it, nullptr), 0);
		p++;
		for (space(); *p != '}'; p += *p == ',') {
			space();
			std::string key = quoted();
			ASSERT_TRUE(json_next(&it)) << key;
			EXPECT_EQ(key, it.key);
			space();
			p++;
			EXPECT_EQ(json_kind(json_in(v, key.c_str())), json_kind(it.value));
			value(it.value);
		}
		p++;
		EXPECT_FALSE(json_next(&it));
	}

	const char *p;
};

struct Doc {
	explicit Doc(const std::string &text, const struct json_limits *limits = nullptr)
		: doc(json_parse(text.data(), text.size(), limits, &err)) {}
	~Doc() { json_free(doc); }
	Doc(const Doc &) = delete;
	struct json_value root() const { return json_root(doc); }
	struct err err = {};
	struct json *doc;
};

std::string message(int code, const struct err &err)
{
	EXPECT_EQ(code, -1);
	EXPECT_EQ(err.code, ERR_DATA);
	return err.message;
}

TEST(JsonCheck, RefusesWithOffsetAndRule)
{
	for (const Refused &c : refused) {
		/* an exact heap copy, so that a read past the end is seen */
		std::vector<char> copy(c.text.begin(), c.text.end());
		struct err err = {};
		std::string where = "byte " + std::to_string(c.at) + ": ";
		EXPECT_EQ(json_check(copy.data(), copy.size(), nullptr, &err), -1) << c.text.substr(0, 80);
		EXPECT_EQ(err.code, ERR_DATA);
		EXPECT_EQ(std::string(err.message).substr(0, where.size()), where) << c.text.substr(0, 80)
			<< err.message;
		EXPECT_NE(std::string(err.message).find(c.rule), std::string::npos) << err.message;
		EXPECT_EQ(json_parse(copy.data(), copy.size(), nullptr, nullptr), nullptr);
	}
}

TEST(JsonCheck, AcceptsAndReadsEqually)
{
	for (const std::string &text : accepted) {
		Doc doc(text);
		ASSERT_NE(doc.doc, nullptr) << text << ": " << doc.err.message;
		Compare(text).value(doc.root());
	}
}

TEST(JsonCheck, EveryPrefixOfAGoodTextIsTruncated)
{
	const std::string text = "{\"a\\u00e9\":[-1.5e+3,true,\"\\ud83d\\ude00\"],\"b\":{\"c\":null}}";
	for (size_t n = 0; n < text.size(); n++) {
		struct err err = {};
		EXPECT_EQ(json_check(text.data(), n, nullptr, &err), -1) << n;
		EXPECT_EQ("byte " + std::to_string(n) + ": the text ends too early", err.message);
	}
	EXPECT_EQ(json_check(text.data(), text.size(), nullptr, nullptr), 0);
}

TEST(JsonCheck, LimitsAreTheCallers)
{
	const struct json_limits small = {10, 2, 3};
	EXPECT_EQ(json_check("[[1]]", 5, &small, nullptr), 0);
	EXPECT_EQ(json_check("[1,2]", 5, &small, nullptr), 0);
	EXPECT_EQ(json_check("         1", 10, &small, nullptr), 0);
	const std::vector<Refused> cases = {
		{"          1", 10, "longer than 10 bytes"},
		{"[[[]]]", 2, "deeper than 2"},
		{"[{\"a\":{}}]", 6, "deeper than 2"},
		{"[1,2,3]", 5, "more than 3 values"},
	};
	for (const Refused &c : cases) {
		struct err err = {};
		std::string got = message(json_check(c.text.data(), c.text.size(), &small, &err), err);
		EXPECT_EQ(got.find("byte " + std::to_string(c.at) + ": "), 0u) << got;
		EXPECT_NE(got.find(c.rule), std::string::npos) << got;
	}
	const struct json_limits deep = {1000000, 5000, 1000000};
	Doc doc(nested(5000), &deep);
	EXPECT_NE(doc.doc, nullptr) << doc.err.message;
	const struct json_limits endless = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
	EXPECT_EQ(json_check("[]", 2, &endless, nullptr), 0);
	Doc refused_by_size("[]", &endless); /* json-c counts in an int */
	EXPECT_EQ(refused_by_size.doc, nullptr);
	EXPECT_EQ(refused_by_size.err.code, ERR_INTERNAL) << refused_by_size.err.message;
}

TEST(JsonCheck, ManyKeysStayFast)
{
	std::string text = "{";
	for (int i = 0; i < 100000; i++)
		text += "\"k" + std::to_string(i) + "\":0,";
	struct err err = {};
	EXPECT_EQ(json_check((text + "\"z\":0}").data(), text.size() + 6, nullptr, &err), 0) << err.message;
	text += "\"k77\":0}";
	std::string got = message(json_check(text.data(), text.size(), nullptr, &err), err);
	EXPECT_EQ(got, "byte " + std::to_string(text.size() - 8) + ": duplicate key 'k77'");
}

TEST(JsonGet, ErrorsCarryThePath)
{
	Doc doc("{\"a\":{\"b\":[0,[1,{\"c\":\"x\"}],null]},"
		"\"n\":null,\"f\":1.0,\"neg\":-1,\"big\":9223372036854775808}");
	ASSERT_NE(doc.doc, nullptr);
	struct json_value root = doc.root(), list = json_in(json_in(root, "a"), "b");
	struct json_value deep = json_in(json_at(json_at(list, 1), 1), "c");
	struct err err = {};
	int64_t i = 7;
	uint64_t u = 7;
	bool b = false;
	const char *s = nullptr;

	const char *const any = "an integer from -2^63 to 2^63 - 1";
	EXPECT_EQ(message(json_get_int64(deep, &i, &err), err), "'a.b[1][1].c' must be "s + any + ", found a string");
	EXPECT_EQ(message(json_get_int64(json_at(list, 2), &i, &err), err),
		"'a.b[2]' must be "s + any + ", found null");
	EXPECT_EQ(message(json_get_int64(json_at(list, 3), &i, &err), err), "'a.b[3]' is missing, expected "s + any);
	EXPECT_EQ(message(json_get_int64(json_in(json_in(root, "x"), "y"), &i, &err), err),
		  "'x' is missing, expected "s + any);
	EXPECT_EQ(message(json_get_bool(json_in(json_in(root, "f"), "y"), &b, &err), err),
		  "'f' must be an object, found a number with fraction or exponent");
	EXPECT_EQ(message(json_get_bool(json_at(json_in(root, "a"), 0), &b, &err), err),
		  "'a' must be an array, found an object");
	EXPECT_EQ(message(json_get_int64(json_in(root, "f"), &i, &err), err),
		  "'f' must be "s + any + ", found a number with fraction or exponent");
	EXPECT_EQ(message(json_get_int64(json_in(root, "big"), &i, &err), err),
		"'big' must be "s + any + ", found an integer");
	EXPECT_EQ(message(json_get_uint64(json_in(root, "neg"), &u, &err), err),
		  "'neg' must be an integer from 0 to 2^64 - 1, found an integer");
	EXPECT_EQ(message(json_get_string(root, &s, nullptr, &err), err),
		"'top level' must be a string, found an object");
	EXPECT_EQ(message(json_expect(list, JSON_OBJECT, &err), err), "'a.b' must be an object, found an array");
	EXPECT_EQ(i, 7);
	EXPECT_EQ(u, 7u);
	EXPECT_EQ(json_get_uint64(json_in(root, "big"), &u, nullptr), 0);
	EXPECT_EQ(u, 9223372036854775808u);
}

TEST(JsonGet, LongAndHostileKeysStayShort)
{
	std::string key(3000, 'k'), text;
	for (int i = 0; i < 9; i++)
		text += "{\"" + key + "\":";
	Doc doc(text + "1" + std::string(9, '}'));
	ASSERT_NE(doc.doc, nullptr) << doc.err.message;
	struct json_value v = doc.root();
	struct err err = {};
	bool b;
	for (int i = 0; i < 9; i++)
		v = json_in(v, key.c_str());
	std::string got = message(json_get_bool(v, &b, &err), err);
	EXPECT_LT(got.size(), 400u);
	EXPECT_EQ(got.substr(0, 4), "'...");

	Doc hostile("{\"\\u001b[31m\":1}");
	EXPECT_EQ(message(json_get_bool(json_in(hostile.root(), "\x1b[31m"), &b, &err), err).find('\x1b'),
		std::string::npos);
}

TEST(JsonGet, OptionalGivesTheDefaultOnlyWhereNothingStands)
{
	Doc doc("{\"n\":null,\"i\":5,\"s\":\"x\",\"d\":2,\"b\":true}");
	struct json_value root = doc.root();
	struct err err = {};
	int64_t i = 0;
	double d = 0;
	bool b = false;
	const char *s = nullptr;
	size_t n = 99;

	EXPECT_EQ(json_opt_int64(json_in(root, "n"), 3, &i, &err), 0);
	EXPECT_EQ(i, 3);
	EXPECT_EQ(json_opt_int64(json_in(json_in(root, "n"), "deeper"), 4, &i, &err), 0);
	EXPECT_EQ(i, 4);
	EXPECT_EQ(json_opt_int64(json_in(root, "i"), 3, &i, &err), 0);
	EXPECT_EQ(i, 5);
	EXPECT_EQ(json_opt_double(json_in(root, "d"), 0.5, &d, &err), 0);
	EXPECT_EQ(d, 2.0);
	EXPECT_EQ(json_opt_double(json_in(root, "gone"), 0.5, &d, &err), 0);
	EXPECT_EQ(d, 0.5);
	EXPECT_EQ(json_opt_bool(json_in(root, "b"), false, &b, &err), 0);
	EXPECT_TRUE(b);
	EXPECT_EQ(json_opt_string(json_in(root, "gone"), "dflt", &s, &n, &err), 0);
	EXPECT_STREQ(s, "dflt");
	EXPECT_EQ(n, 4u);
	EXPECT_EQ(json_opt_string(json_in(root, "gone"), nullptr, &s, &n, &err), 0);
	EXPECT_EQ(s, nullptr);
	EXPECT_EQ(json_opt_bool(json_in(root, "gone"), true, &b, &err), 0);
	EXPECT_TRUE(b);
	EXPECT_EQ(json_opt_string(json_in(root, "s"), "dflt", &s, nullptr, &err), 0);
	EXPECT_STREQ(s, "x");
	message(json_opt_double(json_in(root, "s"), 3, &d, &err), err);
	message(json_get_length(json_in(root, "s"), &n, &err), err);
	message(json_opt_int64(json_in(root, "s"), 3, &i, &err), err);
	message(json_opt_bool(json_in(json_in(root, "s"), "x"), true, &b, &err), err);
}

/* Writer text, or the code of its error. */
struct Writer {
	explicit Writer(int indent = 0) { json_writer_init(&w, indent); }
	~Writer() { json_writer_release(&w); }
	Writer(const Writer &) = delete;
	std::string text()
	{
		struct err err = {};
		size_t n = 0;
		const char *s = json_writer_text(&w, &n, &err);
		if (!s)
			return "error " + std::to_string(err.code);
		EXPECT_EQ(strlen(s), n);
		return s;
	}
	struct json_writer w;
};

void write_sample(struct json_writer *w)
{
	json_begin_object(w);
	json_put_key(w, "a<");
	json_begin_array(w);
	json_put_int(w, INT64_MIN);
	json_put_uint(w, UINT64_MAX);
	json_put_double(w, 0.1);
	json_begin_object(w);
	json_end_object(w);
	json_begin_array(w);
	json_end_array(w);
	json_end_array(w);
	json_put_key(w, "b");
	json_put_bool(w, true);
	json_put_key(w, "c");
	json_put_null(w);
	json_end_object(w);
}

TEST(JsonWrite, CompactAndIndented)
{
	Writer compact, pretty(2);
	write_sample(&compact.w);
	write_sample(&pretty.w);
	EXPECT_EQ(compact.text(),
		  "{\"a\\u003c\":[-9223372036854775808,18446744073709551615,0.1,{},[]],\"b\":true,\"c\":null}");
	EXPECT_EQ(pretty.text(),
		"{\n  \"a\\u003c\": [\n    -9223372036854775808,\n    18446744073709551615,\n    0.1,\n    {},\n"
				 "    []\n  ],\n  \"b\": true,\n  \"c\": null\n}");
}

TEST(JsonWrite, Escapes)
{
	Writer w;
	std::string all = "\"\\/\b\f\n\r\t\x01\x1f\x7f<>&\xE2\x80\xA7\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xAA\xC3\xA9\0z"s;
	json_put_string(&w.w, all.data(), all.size());
	EXPECT_EQ(w.text(),
		"\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u003c>&\xE2\x80\xA7\\u2028\\u2029\xE2\x80\xAA"
			    "\xC3\xA9\\u0000z\"");
}

TEST(JsonWrite, RefusesWhatHasNoForm)
{
	struct Case {
		void (*write)(struct json_writer *w);
		int code;
	};
	const Case cases[] = {
		{[](struct json_writer *w) { json_put_double(w, NAN); }, ERR_NOTFINITE},
		{[](struct json_writer *w) { json_put_double(w, -INFINITY); }, ERR_NOTFINITE},
		{[](struct json_writer *w) { json_put_string(w, "\xC0\x80", 2); }, ERR_DATA},
		{[](struct json_writer *w) { json_begin_object(w); json_put_key(w, "\xFF"); }, ERR_DATA},
		{[](struct json_writer *) {}, ERR_INTERNAL},
		{[](struct json_writer *w) { json_begin_array(w); }, ERR_INTERNAL},
		{[](struct json_writer *w) { json_put_null(w); json_put_null(w); }, ERR_INTERNAL},
		{[](struct json_writer *w) { json_begin_object(w); json_put_int(w, 1); json_end_object(w); },
			ERR_INTERNAL},
		{[](struct json_writer *w) { json_begin_object(w); json_put_key(w, "a"); json_end_object(w); },
			ERR_INTERNAL},
		{[](struct json_writer *w) { json_begin_object(w); json_put_key(w, "a"); json_put_key(w, "b"); },
			ERR_INTERNAL},
		{[](struct json_writer *w) { json_begin_array(w); json_put_key(w, "a"); }, ERR_INTERNAL},
		{[](struct json_writer *w) { json_begin_array(w); json_end_object(w); }, ERR_INTERNAL},
		{[](struct json_writer *w) { json_end_array(w); }, ERR_INTERNAL},
		{[](struct json_writer *w) { json_put_key(w, "a"); }, ERR_INTERNAL},
	};
	for (const Case &c : cases) {
		Writer w;
		c.write(&w.w);
		EXPECT_EQ(w.text(), "error " + std::to_string(c.code)) << &c - cases;
		json_put_null(&w.w); /* the first failure sticks */
		EXPECT_EQ(w.text(), "error " + std::to_string(c.code)) << &c - cases;
	}
}

const std::string as_it_stands =
	"{\"low\":-9223372036854775808,\"high\":18446744073709551615,\"d\":[1.10,-0.0,1E+2,3.14159265358979323846264338327950],"
	"\"s\":\"a\\u0000b \\\"\\n \xC3\xA9\",\"long\":\"" + std::string(300, 'x') +
	"\",\"t\":true,\"f\":false,\"z\":null,\"o\":{\"k\":[[],{}]}}";

TEST(JsonWrite, ValuesOfADocumentAreEscapedAsAllStrings)
{
	Doc doc("{\"stop\":[\"</answer>\"]}");
	Writer w;
	json_put_value(&w.w, doc.root());
	EXPECT_EQ(w.text(), "{\"stop\":[\"\\u003c/answer>\"]}");
}

TEST(JsonWrite, ValuesOfADocumentAsTheyStand)
{
	Doc doc(as_it_stands);
	ASSERT_NE(doc.doc, nullptr) << doc.err.message;
	Writer w;
	json_put_value(&w.w, doc.root());
	EXPECT_EQ(w.text(), as_it_stands);
	Writer absent;
	json_put_value(&absent.w, json_in(doc.root(), "none"));
	EXPECT_EQ(absent.text(), "null");
}

#if SHORT_MEMORY
/* json-c writes less where memory runs out, and says nothing. */
TEST(JsonWrite, AValueIsWholeOrRefused)
{
	Doc doc(as_it_stands);
	for (bool onwards_ : {false, true}) {
		long n = 1;
		for (bool more = true; more; n++) {
			Writer w;
			{
				Shortage shortage(n, onwards_);
				json_put_value(&w.w, doc.root());
				more = failed;
			}
			EXPECT_EQ(w.text(), more ? "error " + std::to_string(ERR_MEMORY) : as_it_stands) << n;
		}
		EXPECT_GT(n, 4);
	}
}
#endif

TEST(JsonWrite, DoublesReadBackBitForBit)
{
	std::mt19937_64 rng(1);
	std::vector<double> values = {0.0, -0.0, 0.1, 1.0 / 3, 1e22, 1e23, 5e-324, 2.2250738585072014e-308,
				      1.7976931348623157e308, 123456789012345680, -1e15, 1e16, 9007199254740993.0};
	while (values.size() < 20000) {
		uint64_t bits = rng();
		double d;
		memcpy(&d, &bits, sizeof d);
		if (std::isfinite(d))
			values.push_back(d);
	}
	for (double want : values) {
		Writer w;
		json_put_double(&w.w, want);
		Doc doc(w.text());
		ASSERT_NE(doc.doc, nullptr) << w.text();
		double got = 0;
		ASSERT_EQ(json_get_double(doc.root(), &got, nullptr), 0);
		ASSERT_EQ(memcmp(&got, &want, sizeof got), 0) << w.text();
		ASSERT_LE(w.text().size(), 24u);
	}
	Writer tenth, million;
	json_put_double(&tenth.w, 0.1);
	json_put_double(&million.w, 1e6);
	EXPECT_EQ(tenth.text(), "0.1");
	EXPECT_EQ(million.text(), "1000000");
}

std::string random_text(std::mt19937_64 *rng)
{
	static const char *const pieces[] = {"a", "\\", "\"", "<", "\n", "\xC3\xA9", "\xE2\x80\xA8",
		"\xF0\x9F\x98\x80", "/", "\x01"};
	std::string text;
	for (size_t n = (*rng)() % 12; n; n--)
		text += (*rng)() % 20 ? pieces[(*rng)() % 10] : "\0"s;
	return text;
}

void write_random(struct json_writer *w, std::mt19937_64 *rng, int depth)
{
	size_t n = (*rng)() % 4;
	std::string text = random_text(rng);

	switch ((*rng)() % (depth ? 8 : 6)) {
	case 0: return json_put_null(w);
	case 1: return json_put_bool(w, (*rng)() % 2);
	case 2: return json_put_int(w, static_cast<int64_t>((*rng)()));
	case 3: return json_put_uint(w, (*rng)() >> (*rng)() % 64);
	case 4: return json_put_double(w, static_cast<double>((*rng)() >> 11) / 1e7);
	case 5: return json_put_string(w, text.data(), text.size());
	case 6:
		json_begin_array(w);
		for (size_t i = 0; i < n; i++)
			write_random(w, rng, depth - 1);
		return json_end_array(w);
	default:
		json_begin_object(w);
		for (size_t i = 0; i < n; i++) {
			json_put_key(w, (std::to_string(i) + random_text(rng).c_str()).c_str());
			write_random(w, rng, depth - 1);
		}
		return json_end_object(w);
	}
}

/* Whatever is written is accepted; whatever is still accepted after damage reads equally. */
TEST(JsonDifferential, RandomTextsAndDamagedOnes)
{
	std::mt19937_64 rng(2);
	int survived = 0;
	for (int round = 0; round < 3000; round++) {
		Writer w(static_cast<int>(rng() % 3));
		write_random(&w.w, &rng, 5);
		std::string text = w.text();
		Doc doc(text);
		ASSERT_NE(doc.doc, nullptr) << text << ": " << doc.err.message;
		Compare(text).value(doc.root());
		for (int i = 0; i < 5; i++) {
			std::string damaged = text;
			damaged[rng() % damaged.size()] = "\"\\{}[],:0123456789eE.-u \x80"[rng() % 24];
			Doc other(damaged);
			ASSERT_TRUE(other.doc || other.err.code == ERR_DATA) << damaged << ": " << other.err.message;
			if (!other.doc)
				continue;
			survived++;
			Compare(damaged).value(other.root());
		}
	}
	EXPECT_GT(survived, 1000);
}

} // namespace
