// SPDX-License-Identifier: Apache-2.0
// The stream of events over strict JSON: what it tells, in which order, and that it refuses what json_check refuses.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "src/base/jsonio.h"

using namespace std::string_literals;

namespace
{

struct Stream {
	std::string text;
	struct err err = {};
	std::unique_ptr<struct json_reader, void (*)(struct json_reader *)> reader{nullptr, json_reader_free};
	struct json_event event = {};

	explicit Stream(const std::string &text, const struct json_limits *limits = nullptr) : text(text)
	{
		reader.reset(json_reader_new(this->text.data(), this->text.size(), limits, &err));
	}
	bool next()
	{
		return reader && !json_reader_next(reader.get(), &event, &err) && event.kind != JSON_EVENT_END;
	}
};

/* Events as words: { } [ ] for containers, k:KEY, s:STRING, i:INTEGER, d:DOUBLE, w:WORD, each with @OFFSET. */
std::string words(Stream &s)
{
	static const std::map<enum json_kind, const char *> scalar = {
		{JSON_ABSENT, "?"},  {JSON_NULL, "n:"},   {JSON_BOOL, "b:"}, {JSON_INTEGER, "i:"},
		{JSON_DOUBLE, "d:"}, {JSON_STRING, "s:"}, {JSON_ARRAY, "["}, {JSON_OBJECT, "{"}};
	std::string all;
	while (s.next()) {
		bool container = s.event.value == JSON_ARRAY || s.event.value == JSON_OBJECT;
		std::string word = s.event.kind == JSON_EVENT_KEY ? "k:" : scalar.at(s.event.value);
		if (s.event.kind == JSON_EVENT_CLOSE)
			word = s.event.value == JSON_OBJECT ? "}" : "]";
		if (!container)
			word += std::string(s.event.bytes, s.event.n);
		else
			EXPECT_EQ(std::string(s.event.bytes, s.event.n), word);
		all += word + "@" + std::to_string(s.event.at) + " ";
	}
	return all;
}

TEST(JsonReader, TellsEveryTokenInOrder)
{
	Stream s(" {\"a\": [1, -2.5, \"x\", true],\n\"b\":{} , \"c\":null, \"d\": 1e2} ");
	EXPECT_EQ(words(s),
		  "{@1 k:a@2 [@7 i:1@8 d:-2.5@11 s:x@17 b:true@22 ]@26 k:b@29 {@33 }@34 k:c@38 n:null@42 k:d@48 "
		  "d:1e2@53 }@56 ");
	EXPECT_EQ(s.err.code, 0);
	EXPECT_EQ(s.event.kind, JSON_EVENT_END);
	EXPECT_FALSE(s.next()) << "the end stays the end";
	EXPECT_EQ(s.err.code, 0);
}

TEST(JsonReader, ScalarsAloneAreDocuments)
{
	for (auto [text, expected] : std::vector<std::pair<const char *, const char *>>{{"7", "i:7@0 "},
											{"\"\"", "s:@0 "},
											{"false", "b:false@0 "},
											{" 0.5 ", "d:0.5@1 "},
											{"1E5", "d:1E5@0 "},
											{"[]", "[@0 ]@1 "}}) {
		Stream s(text);
		EXPECT_EQ(words(s), expected);
		EXPECT_EQ(s.err.code, 0) << s.err.message;
	}
}

TEST(JsonReader, StringsAreDecodedAndStay)
{
	Stream s("{\"\\u00e9\\n\":\"a\\u0000b\",\"plain\":\"\\ud83d\\ude00\"}");
	std::vector<std::pair<const char *, size_t>> seen;
	while (s.next())
		if (s.event.value == JSON_STRING)
			seen.push_back({s.event.bytes, s.event.n});
	ASSERT_EQ(s.err.code, 0) << s.err.message;
	std::vector<std::string> texts;
	for (auto [bytes, n] : seen)
		texts.push_back(std::string(bytes, n)); /* read after later events */
	EXPECT_EQ(texts, std::vector<std::string>({"\u00e9\n", "a\0b"s, "plain", "\U0001F600"}));
}

TEST(JsonReader, IntegersFitOrAreRefused)
{
	const std::vector<std::pair<const char *, uint64_t>> good = {
		{"0", 0}, {"18446744073709551615", ~0ull}, {"1234567890", 1234567890}};
	for (auto [text, expected] : good) {
		Stream s(text);
		uint64_t value = 1;
		ASSERT_TRUE(s.next());
		EXPECT_EQ(json_event_uint64(&s.event, &value, &s.err), 0) << s.err.message;
		EXPECT_EQ(value, expected);
	}
	for (const char *text : {"-1", "-0", "1.0", "1e0", "\"1\"", "true", "null", "[]", "{}"}) {
		Stream s("[" + std::string(text) + "]");
		uint64_t value = 77;
		ASSERT_TRUE(s.next() && s.next());
		EXPECT_EQ(json_event_uint64(&s.event, &value, &s.err), -1) << text;
		EXPECT_EQ(s.err.code, ERR_DATA);
		EXPECT_EQ(std::string(s.err.message).rfind("byte 1: ", 0), 0u) << s.err.message;
		EXPECT_EQ(value, 77u);
	}
	Stream key("{\"1\":2}");
	uint64_t value;
	ASSERT_TRUE(key.next() && key.next());
	EXPECT_EQ(json_event_uint64(&key.event, &value, &key.err), -1) << "a key is no number";
}

TEST(JsonReader, LimitsHold)
{
	struct json_limits limits = {10, 2, 3};
	for (auto [text, rule] :
	     std::vector<std::pair<const char *, const char *>>{{"[[[]]]", "nested deeper than 2"},
								{"[1,2,3]", "more than 3 values"},
								{"\"123456789\"", "longer than 10 bytes"}}) {
		Stream s(text, &limits);
		words(s);
		EXPECT_EQ(s.err.code, ERR_DATA) << text;
		EXPECT_NE(strstr(s.err.message, rule), nullptr) << s.err.message;
	}
	Stream s("[[1]]", &limits);
	EXPECT_EQ(words(s), "[@0 [@1 i:1@2 ]@3 ]@4 ");
	EXPECT_EQ(s.err.code, 0) << s.err.message;
}

/* Random damage to a text: the stream and json_check must refuse the same texts with the same words. */
TEST(JsonReader, RefusesWhatTheCheckRefuses)
{
	const std::string good = "{\"k\\u0031\": [1, 2.5e3, \"\\\"x\\ud83d\\ude00\"], \"k2\": {\"a\": null, \"b\": "
				 "[true, {}]}, \"k3\": -7}";
	const std::string bytes = "{}[]:,\"\\u0e1-. tn\n\xC3";
	std::mt19937 random(1);
	int refused = 0;
	for (int i = 0; i < 20000; i++) {
		std::string text = good;
		for (unsigned n = 1 + random() % 2; n; n--) {
			size_t at = random() % text.size();
			if (random() % 3)
				text[at] = bytes[random() % bytes.size()];
			else
				text.erase(at, 1 + random() % 4);
		}
		struct err err = {};
		int result = json_check(text.data(), text.size(), nullptr, &err);
		Stream s(text);
		words(s);
		ASSERT_STREQ(s.err.message, err.message) << text;
		ASSERT_EQ(s.err.code != 0, result != 0) << text;
		refused += result != 0;
	}
	EXPECT_GT(refused, 10000);
	EXPECT_LT(refused, 20000);
}

} // namespace
