// SPDX-License-Identifier: Apache-2.0
/*
 * Tokenizers. Golden ids and texts of tiny tokenizers of every kind, written by
 * tests/golden/make_tokenizers.py; single components put into a tokenizer made
 * to show every cut; files that must be refused, with the rule they break;
 * laws that hold without golden values.
 */
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "src/base/file.h"
#include "src/base/jsonio.h"
#include "src/text/tokenizer.h"

using namespace std::string_literals;

namespace
{

std::string golden(const std::string &name)
{
	const char *root = getenv("TEST_SRCDIR");

	return std::string(root ? root : ".") + "/tests/golden/tokenizers/" + name;
}

std::string read_text(const std::string &path)
{
	std::ifstream file(path, std::ios::binary);
	std::stringstream text;

	EXPECT_TRUE(file.good()) << path;
	text << file.rdbuf();
	return text.str();
}

std::vector<std::string> read_lines(const std::string &path)
{
	std::istringstream text(read_text(path));
	std::vector<std::string> lines;

	for (std::string line; std::getline(text, line);)
		lines.push_back(line);
	return lines;
}

/* A JSON text and its owner. */
struct Document {
	struct json *doc;

	explicit Document(const std::string &text)
	{
		struct err err = {};
		static const struct json_limits limits = {16u << 20, 32, 1u << 18};
		doc = json_parse(text.data(), text.size(), &limits, &err);
		EXPECT_NE(doc, nullptr) << err.message;
	}
	~Document()
	{
		json_free(doc);
	}
	struct json_value root() const
	{
		return json_root(doc);
	}
};

std::string string_of(struct json_value value)
{
	struct err err = {};
	const char *text = "";
	size_t n = 0;

	EXPECT_EQ(json_get_string(value, &text, &n, &err), 0) << err.message;
	return std::string(text, n);
}

using Ids = std::vector<int32_t>;

Ids parse_ids(const std::string &text)
{
	std::istringstream in(text);
	Ids ids;

	for (int32_t id; in >> id;)
		ids.push_back(id);
	return ids;
}

struct Tokenizer {
	struct tokenizer *tok = nullptr;
	struct encoder *enc = nullptr;
	struct err err = {};

	explicit Tokenizer(const std::string &json)
	{
		tok = tokenizer_parse(json.data(), json.size(), &err);
		enc = tok ? encoder_new(tok, &err) : nullptr;
	}
	explicit Tokenizer(struct tokenizer *loaded) : tok(loaded)
	{
		enc = tok ? encoder_new(tok, &err) : nullptr;
	}
	Tokenizer(const Tokenizer &) = delete;
	~Tokenizer()
	{
		encoder_free(enc);
		tokenizer_free(tok);
	}
	Ids encode(const std::string &text, bool special = false)
	{
		struct token_list list = {};
		EXPECT_EQ(encoder_encode(enc, &list, text.data(), text.size(), special, &err), 0) << err.message;
		Ids ids(list.ids, list.ids + list.n);
		token_list_release(&list);
		return ids;
	}
	std::string decode(const Ids &ids, bool skip_special = false)
	{
		size_t n = 0;
		char *bytes = tokenizer_decode(tok, ids.data(), ids.size(), skip_special, &n, &err);
		EXPECT_NE(bytes, nullptr) << err.message;
		std::string text(bytes ? bytes : "", n);
		free(bytes);
		return text;
	}
};

std::string shown(const std::string &text)
{
	std::string out;
	char hex[8];

	for (unsigned char c : text) {
		snprintf(hex, sizeof hex, c < 0x20 || c > 0x7E ? "\\x%02X" : "%c", c);
		out += hex;
	}
	return out;
}

/* ---- golden values ---- */

class Golden : public testing::TestWithParam<const char *>
{
};

std::string expected_text(const std::string &field, const std::string &text)
{
	return field == "=" ? text : string_of(Document(field).root());
}

TEST_P(Golden, EncodesAndDecodesAsHuggingFace)
{
	Tokenizer tok(read_text(golden(GetParam() + ".json"s)));
	std::vector<std::string> strings = read_lines(golden("strings.jsonl"));
	std::vector<std::string> rows = read_lines(golden(GetParam() + ".ids"s));
	size_t checked = 0;

	ASSERT_NE(tok.enc, nullptr) << tok.err.message;
	ASSERT_EQ(strings.size(), rows.size());
	for (size_t i = 0; i < rows.size(); i++) {
		std::string text = string_of(Document(strings[i]).root()), field[4];
		std::istringstream row(rows[i]);
		for (std::string &f : field)
			std::getline(row, f, '\t');
		Ids plain = parse_ids(field[1]);
		EXPECT_EQ(tok.encode(text, true), parse_ids(field[0])) << shown(text);
		EXPECT_EQ(tok.encode(text, false), plain) << shown(text);
		EXPECT_EQ(shown(tok.decode(plain, false)), shown(expected_text(field[2], text))) << shown(text);
		EXPECT_EQ(shown(tok.decode(plain, true)), shown(expected_text(field[3], text))) << shown(text);
		checked++;
	}
	EXPECT_GE(checked, 300u);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Golden,
			 testing::Values("gpt2", "gpt2_prefix", "llama3", "qwen", "smollm", "llama2", "mistral",
					 "crossing", "metaspace", "flags", "stripped"),
			 [](const auto &info) { return std::string(info.param); });

void copy_value(struct json_writer *w, struct json_value value);

void copy_members(struct json_writer *w, struct json_value value)
{
	struct json_iter it;

	json_begin_object(w);
	ASSERT_EQ(json_members(value, &it, nullptr), 0);
	while (json_next(&it)) {
		json_put_key(w, it.key);
		copy_value(w, it.value);
	}
	json_end_object(w);
}

void copy_value(struct json_writer *w, struct json_value value)
{
	size_t n = 0;
	bool flag = false;

	switch (json_kind(value)) {
	case JSON_OBJECT:
		return copy_members(w, value);
	case JSON_ARRAY:
		json_begin_array(w);
		json_get_length(value, &n, nullptr);
		for (size_t i = 0; i < n; i++)
			copy_value(w, json_at(value, i));
		return json_end_array(w);
	case JSON_BOOL:
		json_get_bool(value, &flag, nullptr);
		return json_put_bool(w, flag);
	default:
		std::string text = string_of(value);
		json_put_string(w, text.data(), text.size());
	}
}

std::string spelled(struct json_value value)
{
	struct json_writer w;

	json_writer_init(&w, 0);
	copy_value(&w, value);
	std::string text = json_writer_text(&w, nullptr, nullptr);
	json_writer_release(&w);
	return text;
}

/* `text` with the first `from` in it replaced, which must be there. */
std::string replaced(std::string text, const std::string &from, const std::string &to)
{
	size_t at = text.find(from);

	EXPECT_NE(at, std::string::npos) << from;
	return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Variants, EveryComponentCutsAsHuggingFace)
{
	std::string base = read_text(golden("splits.json"));
	size_t checked = 0;

	for (const std::string &line : read_lines(golden("variants.jsonl"))) {
		Document doc(line);
		std::string key = string_of(json_in(doc.root(), "key"));
		std::string component = spelled(json_in(doc.root(), "component"));
		Tokenizer tok(replaced(base, "\"" + key + "\":null", "\"" + key + "\":" + component));
		size_t n = 0;
		ASSERT_NE(tok.enc, nullptr) << component << ": " << tok.err.message;
		json_get_length(json_in(doc.root(), "cases"), &n, nullptr);
		for (size_t i = 0; i < n; i++) {
			struct json_value row = json_at(json_in(doc.root(), "cases"), i);
			std::string text = string_of(json_at(row, 0));
			Ids ids;
			size_t count = 0;
			json_get_length(json_at(row, 1), &count, nullptr);
			for (size_t k = 0; k < count; k++) {
				int64_t id = -1;
				json_get_int64(json_at(json_at(row, 1), k), &id, nullptr);
				ids.push_back((int32_t)id);
			}
			EXPECT_EQ(tok.encode(text), ids) << component << " on " << shown(text);
			checked++;
		}
	}
	EXPECT_GE(checked, 1000u);
}

/* ---- refusals ---- */

const char small[] =
	R"({"version":"1.0","added_tokens":[{"id":4,"content":"<s>","special":true}],"normalizer":null,)"
	R"("pre_tokenizer":null,"post_processor":null,"decoder":null,"model":{"type":"BPE","dropout":null,)"
	R"("vocab":{"a":0,"b":1,"ab":2,"abb":3},"merges":["a b",["ab","b"]]}})";

struct Refusal {
	const char *from, *to, *rule;
};

const Refusal refusals[] = {
	/* JSON and types */
	{"{\"version\"", "[\"version\"", "byte 10: "},
	{"\"version\":\"1.0\"", "\"version\":NaN", "NaN"},
	{"{\"version\":", "{\"version\":1,\"version\":", "duplicate"},
	{small, "null", "expected an object"},
	{"\"model\":{", "\"modell\":{", "'model' is missing, expected an object"},
	{"\"model\":{", "\"model\":[{", "byte"},
	{"\"type\":\"BPE\"", "\"type\":\"Unigram\"", "model type 'Unigram' is not supported"},
	{"\"type\":\"BPE\"", "\"type\":\"WordPiece\"", "model type 'WordPiece' is not supported"},
	{"\"type\":\"BPE\"", "\"type\":7", "'model.type'"},
	{"\"dropout\":null", "\"dropout\":0.1", "'model.dropout' is not supported"},
	{"\"dropout\":null", "\"end_of_word_suffix\":\"</w>\"", "'model.end_of_word_suffix' is not supported"},
	{"\"dropout\":null", "\"continuing_subword_prefix\":\"##\"",
	 "'model.continuing_subword_prefix' is not supported"},
	{"\"dropout\":null", "\"unk_token\":\"?\"", "'model.unk_token', '?', is not in the vocabulary"},
	{"\"dropout\":null", "\"fuse_unk\":1", "'model.fuse_unk'"},
	{"\"dropout\":null", "\"byte_fallback\":true", "'model.byte_fallback' needs a token '<0x00>'"},
	/* vocabulary */
	{"{\"a\":0,\"b\":1,\"ab\":2,\"abb\":3}", "[[\"a\",0]]", "'model.vocab' must be an object"},
	{"{\"a\":0,\"b\":1,\"ab\":2,\"abb\":3}", "7", "'model.vocab' must be an object"},
	{"\"vocab\":", "\"vocabulary\":", "'model.vocab' must be an object"},
	{"\"vocab\":", "\"v\\u006fcab\":", "'model.vocab' must be an object"},
	{"{\"a\":0,\"b\":1,\"ab\":2,\"abb\":3}", "{}", "'model.merges': merge 0 of 'a' and 'b'"},
	{"\"abb\":3", "\"abb\":7", "id 3 has no token"},
	{"\"abb\":3", "\"abb\":1", "id 1 has two tokens, 'b' and 'abb'"},
	{"\"abb\":3", "\"a\":3", "duplicate"},
	{"\"abb\":3", "\"abb\":-1", "'model.vocab'"},
	{"\"abb\":3", "\"abb\":3.0", "'model.vocab'"},
	{"\"abb\":3", "\"abb\":\"3\"", "'model.vocab'"},
	{"\"abb\":3", "\"abb\":{\"id\":3}", "'model.vocab'"},
	{"\"abb\":3", "\"abb\":1048576", "above the limit of 1048576 tokens"},
	{"\"abb\":3", "\"abb\":18446744073709551615", "above the limit"},
	{"\"abb\":3", "\"abb\":3,", "trailing comma"},
	{"\"b\":1,", "\"b\":1;", "byte "},
	{"\"b\":1,", "\"b\":1 x", "byte "},
	{"\"a b\",", "\"a b\" ;", "byte "},
	{"\"abb\":3", "\"abb\":3,\"x\\u0000y\":5", "\\u0000 in a key"},
	/* merges */
	{"[\"a b\",[\"ab\",\"b\"]]", "{}", "'model.merges' must be an array"},
	{"[\"a b\",[\"ab\",\"b\"]]", "null", "'model.merges' must be an array"},
	{"\"a b\"", "\"a c\"", "merge 0 of 'a' and 'c': its second part is not in the vocabulary"},
	{"\"a b\"", "\"c a\"", "merge 0 of 'c' and 'a': its first part is not in the vocabulary"},
	{"\"a b\"", "\"b a\"", "merge 0 of 'b' and 'a': its result is not in the vocabulary"},
	{"\"a b\"", "\"ab\"", "merge 0, 'ab', must be two tokens with one space between"},
	{"\"a b\"", "\"a b b\"", "merge 0, 'a b b', must be two tokens"},
	{"\"a b\"", "\"a \"", "merge 0 of 'a' and '': a part is empty"},
	{"\"a b\"", "[\"\",\"a\"]", "a part is empty"},
	{"\"a b\"", "[\"a\"]", "merge 0 has 1 parts, not two"},
	{"\"a b\"", "[\"a\",\"b\",\"b\"]", "merge 0 has 3 parts, not two"},
	{"\"a b\"", "[\"a\",1]", "'model.merges'"},
	{"\"a b\"", "[\"a\",[\"b\"]]", "'model.merges'"},
	{"\"a b\"", "3", "'model.merges'"},
	{"[\"ab\",\"b\"]", "[\"a\",\"b\"]", "merge 1 of 'a' and 'b': it is listed twice"},
	/* added tokens */
	{"\"id\":4", "\"id\":6", "id 4 has no token"},
	{"\"id\":4", "\"id\":2", "id 2 has two tokens, 'ab' and '<s>'"},
	{"\"id\":4", "\"id\":99999999", "above the limit"},
	{"\"id\":4", "\"id\":-4", "'added_tokens[0].id'"},
	{"\"id\":4,", "", "'added_tokens[0].id'"},
	{"\"<s>\"", "\"ab\"", "added token 'ab' has two ids, 2 and 4"},
	{"\"<s>\"", "\"\"", "added token 4 is empty"},
	{"\"<s>\"", "null", "'added_tokens[0].content'"},
	{"\"special\":true", "\"special\":\"yes\"", "'added_tokens[0].special'"},
	{"\"special\":true}", "\"special\":true},{\"id\":4,\"content\":\"<s>\"}", "added token '<s>' is listed twice"},
	{"\"special\":true}", "\"special\":true},{\"id\":5,\"content\":\"<s>\"}",
	 "added token '<s>' has two ids, 4 and 5"},
	/* normalizers */
	{"\"normalizer\":null", "\"normalizer\":{\"type\":\"Nmt\"}", "normalizer 'Nmt' is not supported"},
	{"\"normalizer\":null", "\"normalizer\":{\"type\":\"BertNormalizer\"}",
	 "normalizer 'BertNormalizer' is not supported"},
	{"\"normalizer\":null", "\"normalizer\":{\"type\":\"Precompiled\"}",
	 "normalizer 'Precompiled' is not supported"},
	{"\"normalizer\":null", "\"normalizer\":{\"type\":\"\\u001b[2J\"}", "normalizer '\\x1B[2J' is not supported"},
	{"\"normalizer\":null", "\"normalizer\":{}", "'normalizer.type'"},
	{"\"normalizer\":null", "\"normalizer\":[]", "'normalizer'"},
	{"\"normalizer\":null", "\"normalizer\":{\"type\":\"Sequence\"}", "'normalizer.normalizers'"},
	{"\"normalizer\":null",
	 "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Sequence\",\"normalizers\":[]}]}",
	 "normalizer 'Sequence' is not supported"},
	{"\"normalizer\":null", "\"normalizer\":{\"type\":\"Strip\"}", "normalizer 'Strip': 'normalizer.strip_left'"},
	{"\"normalizer\":null", "\"normalizer\":{\"type\":\"Prepend\"}", "normalizer 'Prepend'"},
	{"\"normalizer\":null", "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"x\"}",
	 "a pattern must have 1 to 4096 bytes"},
	{"\"normalizer\":null", "\"normalizer\":{\"type\":\"Replace\",\"pattern\":\"a\",\"content\":\"x\"}",
	 "normalizer 'Replace'"},
	/* pre-tokenizers and their patterns */
	{"\"pre_tokenizer\":null", "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}",
	 "pre_tokenizer 'BertPreTokenizer' is not supported"},
	{"\"pre_tokenizer\":null", "\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}",
	 "pre_tokenizer 'UnicodeScripts' is not supported"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}",
	 "pre_tokenizer 'Split': regular expression '(': byte 1"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Gone\"}",
	 "unknown behavior 'Gone'"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a[b]]\"},\"behavior\":\"Isolated\"}",
	 "byte 2: '[b' inside a class is not supported"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&b]\"},\"behavior\":\"Isolated\"}",
	 "'&&' inside a class is not supported"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[[:alpha:]]\"},\"behavior\":\"Isolated\"}",
	 "inside a class is not supported"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[\\\\W]\"},\"behavior\":\"Isolated\"}",
	 "'\\W' is not supported here"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a{2}+\"},\"behavior\":\"Isolated\"}",
	 "'{2}+' is not supported"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a{2}?\"},\"behavior\":\"Isolated\"}",
	 "'{2}?' is not supported"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?m)a\"},\"behavior\":\"Isolated\"}",
	 "sets an option that is not supported"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(*LIMIT_MATCH=1)a\"},\"behavior\":"
	 "\"Isolated\"}",
	 "'(*' is not supported"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\Qa\"},\"behavior\":\"Isolated\"}",
	 "'\\Q' is not supported here"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\C\"},\"behavior\":\"Isolated\"}",
	 "regular expression '\\C'"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\\\\\"},\"behavior\":\"Isolated\"}",
	 "has nothing behind it"},
	{"\"pre_tokenizer\":null", "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"__\"}",
	 "'__' must be one character"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"}",
	 "'prepend_scheme' must be"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"add_prefix_space\":false,\"prepend_"
	 "scheme\":\"always\"}",
	 "'prepend_scheme' must be"},
	{"\"pre_tokenizer\":null",
	 "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},{\"type\":\"Digits\"}]}",
	 "a pre-tokenizer behind 'ByteLevel' is not supported"},
	/* post-processors and decoders */
	{"\"post_processor\":null", "\"post_processor\":{\"type\":\"RobertaProcessing\"}",
	 "post_processor 'RobertaProcessing' is not supported"},
	{"\"post_processor\":null", "\"post_processor\":{\"type\":\"BertProcessing\"}",
	 "post_processor 'BertProcessing' is not supported"},
	{"\"post_processor\":null", "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}",
	 "'single' must hold sequence 'A'"},
	{"\"post_processor\":null",
	 "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\"}}]}",
	 "sequence 'A' once and no other"},
	{"\"post_processor\":null",
	 "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],\"special_"
	 "tokens\":{}}",
	 "'post_processor.special_tokens.x' is missing"},
	{"\"post_processor\":null",
	 "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],"
	 "\"special_tokens\":{\"x\":{\"ids\":[5]}}}",
	 "id 5 of the template's token 'x' has no token"},
	{"\"decoder\":null", "\"decoder\":{\"type\":\"WordPiece\"}", "decoder 'WordPiece' is not supported"},
	{"\"decoder\":null", "\"decoder\":{\"type\":\"CTC\"}", "decoder 'CTC' is not supported"},
	{"\"decoder\":null", "\"decoder\":{\"type\":\"Strip\",\"content\":\"ab\",\"start\":1,\"stop\":0}",
	 "'ab' must be one character"},
	{"\"decoder\":null", "\"decoder\":{\"type\":\"Strip\",\"content\":\"a\",\"start\":-1,\"stop\":0}",
	 "decoder 'Strip'"},
};

TEST(Refusals, NameTheRule)
{
	Tokenizer good(small);

	ASSERT_NE(good.enc, nullptr) << good.err.message;
	EXPECT_EQ(good.encode("abba<s>"), (Ids{3, 0, 4}));
	for (const Refusal &refusal : refusals) {
		Tokenizer tok(replaced(small, refusal.from, refusal.to));
		EXPECT_EQ(tok.tok, nullptr) << refusal.to;
		EXPECT_EQ(tok.err.code, ERR_DATA) << refusal.to;
		EXPECT_NE(strstr(tok.err.message, refusal.rule), nullptr)
			<< refusal.to << "\n  says: " << tok.err.message << "\n  not: " << refusal.rule;
	}
}

std::string with_regex(const std::string &regex)
{
	std::string text;

	for (char c : regex)
		text += c == '\\' ? "\\\\" : std::string(1, c);
	return replaced(small, "\"pre_tokenizer\":null",
			R"("pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":")" + text +
				"\"}}");
}

/* What PCRE2 would take and Oniguruma refuses or reads otherwise. */
TEST(Refusals, PatternsThatOnigurumaReadsOtherwise)
{
	const struct {
		const char *regex, *rule;
	} cases[] = {
		{R"(\V)", "'\\V' is not supported"},
		{R"(\E)", "'\\E' is not supported"},
		{R"((a)\g{1})", "byte 3: '\\g' is not supported"},
		{R"((a)\g1)", "'\\g' is not supported"},
		{R"((?<n>a)\k{n})", "'\\k' is not supported"},
		{R"(\x)", "'\\x' is not supported"},
		{R"(\xg)", "'\\x' is not supported"},
		{"a(?i)b|c", "byte 1: '(?i)' sets an option in the middle"},
		{"(?i)a(?-i)b", "byte 5: '(?-i)' sets an option in the middle"},
		{"(?s)a", "sets an option that is not supported"},
		{"(?|a|b)", "'(?|' is not supported"},
		{"(?P<n>a)", "'(?P' is not supported"},
		{"(?R)", "'(?R' is not supported"},
		{"(?U)a", "'(?U' is not supported"},
		{"(?^)a", "'(?^' is not supported"},
		{"(?", "'(?' is not supported"},
		{R"(\p{Xan})", "is not a property that Oniguruma has"},
		{R"(\P{^x_WD})", "is not a property that Oniguruma has"},
		{R"([\p{Xuc}])", "is not a property that Oniguruma has"},
		{R"(\p{sc=Greek})", "is not a property that Oniguruma has"},
		{R"(\p{scx:Greek})", "is not a property that Oniguruma has"},
		{R"(\p{bidiL})", "is not a property that Oniguruma has"},
		{R"(\p{L&})", "is not a property that Oniguruma has"},
		{R"((?i)[\p{Lu}])", "byte 5: '\\p{Lu}' in a class that ignores case is not supported"},
		{R"(a(?i:b[^\P{ lower }]))", "in a class that ignores case is not supported"},
	};

	for (const auto &c : cases) {
		Tokenizer tok(with_regex(c.regex));
		EXPECT_EQ(tok.tok, nullptr) << c.regex;
		EXPECT_EQ(tok.err.code, ERR_DATA) << c.regex;
		EXPECT_NE(strstr(tok.err.message, c.rule), nullptr) << c.regex << ": " << tok.err.message;
	}
	for (const char *regex : {"(?:a)", "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", "(?>a)", "(?<n>a)\\k<n>", "(?i:a)",
				  "(?-i:a)", "(?ix:a)", "(?i)a|b", R"(\x41)", R"(\x{41})", R"([\p{Lu}](?i:a)[\p{Lu}])",
				  R"((?i:\p{Lu}[\p{L}]))", R"(\p{Greek})"}) {
		Tokenizer tok(with_regex(regex));
		EXPECT_NE(tok.tok, nullptr) << regex << ": " << tok.err.message;
	}
}

TEST(Encode, ReadsAVerticalTabAsOniguruma)
{
	std::string json = replaced(with_regex(R"(\v|[\v])"), "\"ab\":2,\"abb\":3", "\"a\\n\":2,\"\\n\":3");
	Tokenizer tok(replaced(json, "\"a b\",[\"ab\",\"b\"]", "[\"a\",\"\\n\"]"));

	ASSERT_NE(tok.enc, nullptr) << tok.err.message;
	EXPECT_EQ(tok.encode("a\nb"), (Ids{2, 1}));
}

std::string many(const char *format, size_t from, size_t to)
{
	std::string text;
	char one[120];

	for (size_t i = from; i < to; i++) {
		snprintf(one, sizeof one, format, i, i);
		text += one;
	}
	return text;
}

TEST(Refusals, LimitsHold)
{
	const struct {
		std::string json;
		const char *rule;
	} cases[] = {
		{replaced(small, "\"special\":true}",
			  "\"special\":true}" + many(",{\"id\":%zu,\"content\":\"<%zu>\"}", 5, 9000)),
		 "more than 8192 added tokens"},
		{replaced(small, "\"special\":true}",
			  "\"special\":true}" + many(",{\"id\":%zu,\"content\":\"<%zu>\"}", 5, 1000000)),
		 "values"},
		{replaced(small, "\"abb\":3", "\"abb\":3,\"" + std::string(5000, 'x') + "\":5"),
		 "bytes are above the limit of 4096"},
		{replaced(small, "\"normalizer\":null",
			  "\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"" + std::string(257, 'x') + "\"}"),
		 "above the limit of 256"},
		{replaced(small, "\"normalizer\":null",
			  "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}" +
				  many(",{\"type\":\"NFC\"}", 0, 32) + "]}"),
		 "more than 32 steps in the normalizer"},
		{replaced(small, "\"pre_tokenizer\":null",
			  "\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"" +
				  std::string(51, '(') + std::string(51, ')') + "\"}}"),
		 "regular expression"},
		{replaced(small, "\"post_processor\":null",
			  R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},)"
			  R"({"Sequence":{"id":"A"}}],"special_tokens":{"x":{"ids":[0)" +
				  many(",0", 0, 64) + "]}}}"),
		 "more than 64 tokens before or behind a text"},
		{std::string(200, '['), "nested"},
		{std::string(size_t{65} << 20, ' '), "the text is longer than 67108864 bytes"},
	};

	for (const auto &c : cases) {
		Tokenizer tok(c.json);
		EXPECT_EQ(tok.tok, nullptr);
		EXPECT_EQ(tok.err.code, ERR_DATA);
		EXPECT_NE(strstr(tok.err.message, c.rule), nullptr) << tok.err.message << "\n  not: " << c.rule;
	}
}

/* Cutting the file anywhere, or breaking any byte of it, never gives a crash; a cut one never loads. */
TEST(Refusals, CutFilesAreRefused)
{
	std::string all = small;

	for (size_t n = 0; n < all.size(); n++) {
		Tokenizer tok(all.substr(0, n));
		EXPECT_EQ(tok.tok, nullptr) << n;
		EXPECT_EQ(tok.err.code, ERR_DATA) << n;
	}
}

TEST(Refusals, AnAddedTokenHasALength)
{
	for (size_t n : {512, 513}) {
		Tokenizer tok(replaced(small, "\"<s>\"", "\"" + std::string(n, 'a') + "\""));
		EXPECT_EQ(tok.enc != nullptr, n == 512) << tok.err.message;
		EXPECT_EQ(strstr(tok.err.message, ": 513 bytes are above the limit of 512") != nullptr, n > 512)
			<< tok.err.message;
	}
}

TEST(Refusals, BrokenBytesNeverCrash)
{
	const std::string all = small;
	size_t loaded = 0;

	for (size_t at = 0; at < all.size(); at++) {
		for (char c : {'"', '{', '}', ',', '9', '\\'}) {
			std::string broken = all;
			broken[at] = c;
			Tokenizer tok(broken);
			if (tok.enc) {
				tok.encode("abb<s> x");
				loaded++;
			} else {
				EXPECT_NE(tok.err.code, 0);
			}
		}
	}
	EXPECT_GT(loaded, 0u);
}

/* ---- texts ---- */

TEST(Encode, RefusesBadUtf8WithItsPlace)
{
	Tokenizer tok(small);
	const struct {
		std::string text;
		const char *place;
	} cases[] = {
		{"\x80", "byte 0 "},         {"ab\xFF", "byte 2 "},      {"a\xC0\x80", "byte 1 "},
		{"\xED\xA0\x80", "byte 0 "}, {"abc\xE2\x82", "byte 3 "}, {"\xF4\x90\x80\x80", "byte 0 "},
	};

	for (const auto &c : cases) {
		struct token_list list = {};
		EXPECT_EQ(encoder_encode(tok.enc, &list, "ab", 2, false, &tok.err), 0);
		EXPECT_EQ(encoder_encode(tok.enc, &list, c.text.data(), c.text.size(), false, &tok.err), -1);
		EXPECT_EQ(tok.err.code, ERR_DATA);
		EXPECT_NE(strstr(tok.err.message, c.place), nullptr) << tok.err.message;
		EXPECT_EQ(list.n, 1u) << "the list is as before";
		token_list_release(&list);
	}
}

TEST(Encode, LimitsWhatAPatternAndANormalizerMayDo)
{
	Tokenizer slow(replaced(small, "\"pre_tokenizer\":null",
				"\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{"
				"\"Regex\":\"(?:a|a)+[bc]\"}}"));
	Tokenizer long_one(
		replaced(small, "\"normalizer\":null",
			 "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"" +
				 std::string(200, 'b') + "\"}"));
	Tokenizer marks(replaced(small, "\"normalizer\":null", "\"normalizer\":{\"type\":\"NFD\"}"));
	const struct {
		Tokenizer &tok;
		std::string text;
		const char *rule;
	} cases[] = {
		{slow, "<s>" + std::string(400, 'a') + "d", "the tokenizer's regular expression"},
		{long_one, std::string(4000, 'a'), "more than 32 times longer"},
		{marks, "a" + std::string(5000, '\0'), nullptr},
	};

	for (const auto &c : cases) {
		struct token_list list = {};
		ASSERT_NE(c.tok.enc, nullptr) << c.tok.err.message;
		int result = encoder_encode(c.tok.enc, &list, c.text.data(), c.text.size(), false, &c.tok.err);
		EXPECT_EQ(result, c.rule ? -1 : 0);
		EXPECT_TRUE(!c.rule || !list.n) << "the list is as before";
		if (c.rule) {
			EXPECT_EQ(c.tok.err.code, ERR_DATA);
			EXPECT_NE(strstr(c.tok.err.message, c.rule), nullptr) << c.tok.err.message;
		}
		token_list_release(&list);
	}
	std::string run = "a";
	for (int i = 0; i < 5000; i++)
		run += "\xCC\x81";
	struct token_list list = {};
	EXPECT_EQ(encoder_encode(marks.enc, &list, run.data(), run.size(), false, &marks.err), -1);
	EXPECT_NE(strstr(marks.err.message, "combining characters in a row"), nullptr) << marks.err.message;
	token_list_release(&list);
}

/* A match may take steps for each byte of a text: many in a long one, too few in a short one to load it all day. */
TEST(Encode, StepsOfAMatchGrowWithTheText)
{
	Tokenizer slow(with_regex("(?:a|a){14}[bc]"));
	Tokenizer spaces(replaced(with_regex(R"( ?[^ ]x|\s*[\r\n]+|\s+(?!\S)|\s+)"), "Isolated", "Removed"));
	const std::string text(300, 'a'), blank(size_t{12} << 20, ' ');
	struct token_list list = {};

	ASSERT_NE(slow.enc, nullptr) << slow.err.message;
	ASSERT_NE(spaces.enc, nullptr) << spaces.err.message;
	EXPECT_EQ(encoder_encode(slow.enc, &list, text.data(), text.size(), false, &slow.err), -1);
	EXPECT_NE(strstr(slow.err.message, "match limit exceeded"), nullptr) << slow.err.message;
	EXPECT_EQ(spaces.encode(blank + "a"), Ids{0});
	token_list_release(&list);
}

const char *const kinds[] = {"gpt2", "llama3", "qwen", "smollm", "llama2", "mistral", "crossing"};

/* A long text at once, twice, and in an encoder that has seen something else gives the same ids; bytes are never lost.
 */
TEST(Encode, IsTheSameHoweverTheCacheStands)
{
	std::string text, piece;

	for (const std::string &line : read_lines(golden("strings.jsonl"))) {
		piece = string_of(Document(line).root());
		text += piece + " ";
	}
	text += std::string(20000, 'a') + std::string(5000, ' ') + std::string(3000, '\n') + "end";
	for (const char *kind : kinds) {
		Tokenizer first(read_text(golden(kind + ".json"s))), second(read_text(golden(kind + ".json"s)));
		ASSERT_NE(first.enc, nullptr) << first.err.message;
		Ids ids = first.encode(text);
		EXPECT_TRUE(first.encode(text) == ids) << kind;
		second.encode("something else first, 1 2 3");
		EXPECT_TRUE(second.encode(text) == ids) << kind;
		if (kind == "gpt2"s || kind == "llama3"s || kind == "smollm"s) {
			EXPECT_TRUE(first.decode(ids) == text) << kind;
		}
	}
}

TEST(Encode, ManyThreadsReadOneTokenizer)
{
	Tokenizer tok(read_text(golden("llama3.json")));
	std::vector<std::string> texts;
	std::vector<Ids> expected;
	std::vector<std::thread> threads;
	std::vector<size_t> wrong(4, 0);

	for (const std::string &line : read_lines(golden("strings.jsonl"))) {
		texts.push_back(string_of(Document(line).root()));
		expected.push_back(tok.encode(texts.back()));
	}
	for (size_t t = 0; t < wrong.size(); t++)
		threads.emplace_back([&, t] {
			struct encoder *enc = encoder_new(tok.tok, nullptr);
			for (size_t i = 0; i < texts.size(); i++) {
				struct token_list list = {};
				encoder_encode(enc, &list, texts[i].data(), texts[i].size(), false, nullptr);
				wrong[t] += Ids(list.ids, list.ids + list.n) != expected[i];
				token_list_release(&list);
			}
			encoder_free(enc);
		});
	for (std::thread &thread : threads)
		thread.join();
	EXPECT_EQ(wrong, std::vector<size_t>(4, 0));
}

TEST(Decode, LeavesOutUnknownIdsAndIsAlwaysUtf8)
{
	Tokenizer tok(read_text(golden("gpt2.json")));
	int32_t high = tokenizer_find(tok.tok, "\xC3\xA2", 2); /* byte E2 */

	ASSERT_GE(high, 0);
	EXPECT_EQ(tok.decode({-1, 1 << 20, (int32_t)tokenizer_size(tok.tok)}), "");
	EXPECT_EQ(tok.decode({high}), "\xEF\xBF\xBD");
	EXPECT_EQ(tok.decode({high, high}), "\xEF\xBF\xBD\xEF\xBF\xBD");
	/* E2 82 could begin a character, U+0124 is the name of byte 82: one U+FFFD for both */
	EXPECT_EQ(tok.decode({high, tokenizer_find(tok.tok, "\xC4\xA4", 2), tokenizer_find(tok.tok, "a", 1)}),
		  "\xEF\xBF\xBD"
		  "a");
	EXPECT_EQ(tok.decode({}), "");
}

TEST(Decode, ByteTokensMakeCharactersOrOneReplacementEach)
{
	Tokenizer tok(read_text(golden("llama2.json")));
	int32_t c3 = tokenizer_find(tok.tok, "<0xC3>", 6), a9 = tokenizer_find(tok.tok, "<0xA9>", 6);

	EXPECT_EQ(tok.decode({c3, a9}), "\xC3\xA9");
	EXPECT_EQ(tok.decode({c3, c3, a9}), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

/* ---- laws that golden tokenizers do not show ---- */

TEST(Encode, CutsAtMarksOnlyWhereNoTokenCrossesThem)
{
	const std::string vocab = "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"abb\":3}",
			  merges = "\"merges\":[\"a b\",[\"ab\",\"b\"]]";
	auto with = [&](const std::string &words, const std::string &pairs) {
		return replaced(replaced(replaced(small, vocab, "\"vocab\":{" + words + "}"), merges,
					 "\"merges\":[" + pairs + "]"),
				"\"id\":4", "\"id\":5");
	};
	/* a run of marks merges within itself */
	Tokenizer run(with("\"a\":0,\"b\":1,\"▁\":2,\"▁▁\":3,\"▁▁a\":4", "\"▁ ▁\",\"▁▁ a\""));
	/* a merge goes over the start of a mark */
	Tokenizer over(with("\"a\":0,\"b\":1,\"▁\":2,\"a▁\":3,\"a▁b\":4", "\"a ▁\",\"a▁ b\""));
	/* a whole text is a token that no merge reaches */
	Tokenizer whole(replaced(with("\"a\":0,\"b\":1,\"▁\":2,\"a▁b\":3,\"ab\":4", "\"a b\""), "\"dropout\":null",
				 "\"ignore_merges\":true"));

	ASSERT_NE(run.enc, nullptr) << run.err.message;
	ASSERT_NE(over.enc, nullptr) << over.err.message;
	ASSERT_NE(whole.enc, nullptr) << whole.err.message;
	EXPECT_EQ(run.encode("▁▁ab▁▁a"), (Ids{4, 1, 4}));
	EXPECT_EQ(over.encode("a▁ba▁"), (Ids{4, 3}));
	EXPECT_EQ(whole.encode("a▁b"), (Ids{3}));
}

/* A token that is added and not in model.vocab is found as written alone: not as a character, a byte or a word. */
TEST(Encode, TheModelHasItsOwnTokensAlone)
{
	const std::string added =
		R"("special":true},{"id":5,"content":"c","single_word":true},)"
		R"({"id":6,"content":"Ġa"},{"id":7,"content":"Ġ"},{"id":8,"content":"aa","single_word":true})";
	const std::string json =
		replaced(replaced(small, "\"special\":true}", added), "\"dropout\":null", "\"ignore_merges\":true");
	Tokenizer characters(json);
	Tokenizer bytes(replaced(json, "\"pre_tokenizer\":null",
				 R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false})"));

	ASSERT_NE(characters.enc, nullptr) << characters.err.message;
	ASSERT_NE(bytes.enc, nullptr) << bytes.err.message;
	EXPECT_EQ(characters.encode("acb c"), (Ids{2, 5}));
	EXPECT_EQ(characters.encode("aab aa"), (Ids{0, 2, 8}));
	EXPECT_EQ(bytes.encode("b a"), (Ids{1, 0}));
	EXPECT_EQ(bytes.encode("acb"), (Ids{2}));
	/* nor is it the mark at which a text without pre-tokenizer may be cut, or one of the bytes to fall back on */
	Tokenizer fallback(
		replaced(replaced(small, "\"special\":true}",
				  "\"special\":true}" + many(",{\"id\":%zu,\"content\":\"<0x%02zX>\"}", 5, 6)),
			 "\"dropout\":null", "\"byte_fallback\":true"));
	EXPECT_NE(strstr(fallback.err.message, "'model.byte_fallback' needs a token '<0x00>'"), nullptr)
		<< fallback.err.message;
}

/* Steps that prepend a mark to every part, each cutting into parts what the one before made. */
TEST(Encode, LimitsWhatThePreTokenizerAdds)
{
	std::string steps;

	for (char mark = 'a'; mark < 'm'; mark++)
		steps += std::string(mark > 'a' ? "," : "") + R"({"type":"Metaspace","replacement":")" + mark +
			 R"(","prepend_scheme":"always","split":false},{"type":"Split","pattern":{"Regex":"."},)" +
			 R"("behavior":"Isolated"})";
	Tokenizer tok(replaced(small, "\"pre_tokenizer\":null",
			       R"("pre_tokenizer":{"type":"Sequence","pretokenizers":[)" + steps + "]}"));
	const std::string text(100, 'z');
	struct token_list list = {};

	ASSERT_NE(tok.enc, nullptr) << tok.err.message;
	EXPECT_EQ(encoder_encode(tok.enc, &list, text.data(), text.size(), false, &tok.err), -1);
	EXPECT_EQ(tok.err.code, ERR_DATA);
	EXPECT_NE(strstr(tok.err.message, "the pre-tokenizer makes a text more than 32 times longer"), nullptr)
		<< tok.err.message;
	token_list_release(&list);
}

/* As the decoders Strip and ByteLevel of Hugging Face's tokenizers: token by token, and an added one may hold a blank. */
TEST(Decode, StripsEachTokenAndLeavesWhatStandsForNoByte)
{
	Tokenizer strip(replaced(small, "\"decoder\":null",
				 R"("decoder":{"type":"Strip","content":"b","start":1,"stop":1})"));
	Tokenizer bytes(replaced(replaced(small, "\"decoder\":null", R"("decoder":{"type":"ByteLevel"})"),
				 "\"special\":true}",
				 "\"special\":true},{\"id\":5,\"content\":\"é Ġ\"},{\"id\":6,\"content\":\"éĠ\"}"));

	ASSERT_NE(strip.tok, nullptr) << strip.err.message;
	ASSERT_NE(bytes.tok, nullptr) << bytes.err.message;
	EXPECT_EQ(strip.decode({3, 1, 0, 2}), "abaa");
	EXPECT_EQ(bytes.decode({0, 5}), "aé Ġ");
	EXPECT_EQ(bytes.decode({6, 1}), "\xEF\xBF\xBD b");
}

TEST(Decode, LimitsWhatAllStepsAddTogether)
{
	const std::string step =
		R"({"type":"Replace","pattern":{"String":"a"},"content":")" + std::string(32, 'a') + "\"}";
	auto with = [&](const std::string &steps) {
		return replaced(small, "\"decoder\":null",
				R"("decoder":{"type":"Sequence","decoders":[)" + steps + "]}");
	};
	Tokenizer two(with(step + "," + step)), three(with(step + "," + step + "," + step));
	const int32_t a = 0;

	ASSERT_NE(two.tok, nullptr) << two.err.message;
	ASSERT_NE(three.tok, nullptr) << three.err.message;
	EXPECT_EQ(two.decode({a}), std::string(1024, 'a'));
	EXPECT_EQ(tokenizer_decode(three.tok, &a, 1, false, nullptr, &three.err), nullptr);
	EXPECT_EQ(three.err.code, ERR_DATA);
	EXPECT_NE(strstr(three.err.message, "the decoder makes a text more than 32 times longer"), nullptr)
		<< three.err.message;
}

TEST(Encode, AddedTokensAreLeftmostLongestAndNeverOverlap)
{
	Tokenizer tok(replaced(
		small, "\"special\":true}",
		"\"special\":true},{\"id\":5,\"content\":\"xy\",\"special\":true},{\"id\":6,\"content\":\"y\"},"
		"{\"id\":7,\"content\":\"xyz\"},{\"id\":8,\"content\":\"yza\"}"));

	ASSERT_NE(tok.enc, nullptr) << tok.err.message;
	EXPECT_EQ(tok.encode("xyy"), (Ids{5, 6}));
	EXPECT_EQ(tok.encode("xyza"), (Ids{5, 0})) << "raw tokens go before normalised ones";
	EXPECT_EQ(tok.encode("yza"), (Ids{8}));
}

/* ---- questions and the files beside tokenizer.json ---- */

struct Directory {
	std::string path;

	Directory()
	{
		char name[] = "/tmp/text_test.XXXXXX";
		path = mkdtemp(name);
	}
	~Directory()
	{
		for (const char *name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
					 "config.json", "generation_config.json", "chat_template.jinja"})
			unlink((path + "/" + name).c_str());
		rmdir(path.c_str());
	}
	void put(const std::string &name, const std::string &text) const
	{
		std::ofstream(path + "/" + name) << text;
	}
};

TEST(Questions, TokensRolesAndSpecials)
{
	Directory dir;
	size_t n = 0;

	dir.put("tokenizer.json", small);
	dir.put("tokenizer_config.json", R"({"bos_token":"<s>","eos_token":{"content":"b"},"pad_token":"missing",)"
					 R"("model_max_length":1000000000000000019884624838656})");
	Tokenizer tok(tokenizer_load(dir.path.c_str(), nullptr));
	ASSERT_NE(tok.enc, nullptr);
	EXPECT_EQ(tokenizer_size(tok.tok), 5u);
	EXPECT_EQ(tokenizer_find(tok.tok, "ab", 2), 2);
	EXPECT_EQ(tokenizer_find(tok.tok, "ba", 2), -1);
	EXPECT_EQ(std::string(tokenizer_token(tok.tok, 3, &n), 3), "abb");
	EXPECT_EQ(n, 3u);
	EXPECT_EQ(tokenizer_token(tok.tok, 5, &n), nullptr);
	EXPECT_EQ(tokenizer_token(tok.tok, -1, &n), nullptr);
	EXPECT_EQ(tokenizer_role_id(tok.tok, TOKENIZER_BOS), 4);
	EXPECT_EQ(tokenizer_role_id(tok.tok, TOKENIZER_EOS), 1);
	EXPECT_EQ(tokenizer_role_id(tok.tok, TOKENIZER_PAD), -1);
	EXPECT_TRUE(tokenizer_is_special(tok.tok, 4));
	EXPECT_FALSE(tokenizer_is_special(tok.tok, 0));
	/* a token with a role is special, also where tokenizer.json does not say so: it no longer merges */
	EXPECT_TRUE(tokenizer_is_special(tok.tok, 1));
	EXPECT_EQ(tok.encode("ab"), (Ids{0, 1}));
	EXPECT_EQ(tok.decode({0, 1, 4}, true), "a");
	EXPECT_EQ(tokenizer_chat_template(tok.tok), nullptr);
}

/* tokenizer_config.json, then what encoding "a" with special tokens gives. */
TEST(Questions, BeginningAndEndAsWritten)
{
	const std::string json = replaced(
		small, "\"post_processor\":null",
		R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},)"
		R"({"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"id":"<s>","ids":[4],"tokens":["<s>"]}}})");
	const struct {
		const char *config;
		Ids ids;
	} cases[] = {
		{R"({})", {4, 0}},
		{R"({"bos_token":"<s>","eos_token":"b"})", {4, 0}},
		{R"({"bos_token":"<s>","add_bos_token":true})", {4, 0}},
		{R"({"bos_token":"<s>","add_bos_token":false})", {0}},
		{R"({"bos_token":"<s>","eos_token":"b","add_bos_token":true,"add_eos_token":true})", {4, 0, 1}},
		{R"({"bos_token":"<s>","eos_token":"b","add_eos_token":true})", {0, 1}},
		{R"({"add_bos_token":true})", {0}},
		{R"({"bos_token":"<s>","add_bos_token":null,"add_eos_token":null})", {4, 0}},
		{R"({"bos_token":"<s>","eos_token":"b","add_bos_token":null,"add_eos_token":true})", {0, 1}},
	};

	for (const auto &c : cases) {
		Directory dir;
		dir.put("tokenizer.json", json);
		dir.put("tokenizer_config.json", c.config);
		Tokenizer tok(tokenizer_load(dir.path.c_str(), nullptr));
		ASSERT_NE(tok.enc, nullptr) << c.config;
		EXPECT_EQ(tok.encode("a", true), c.ids) << c.config;
		EXPECT_EQ(tok.encode("a", false), Ids{0}) << c.config;
		EXPECT_EQ(tokenizer_beginning(tok.tok), c.ids[0] == 4 ? 4 : -1) << c.config;
	}
}

TEST(Questions, RolesFromTheOtherFiles)
{
	Directory dir;

	dir.put("tokenizer.json", small);
	dir.put("special_tokens_map.json", R"({"bos_token":{"content":"<s>"}})");
	dir.put("generation_config.json", R"({"eos_token_id":[2,3],"unk_token_id":0})");
	dir.put("config.json", R"({"eos_token_id":1,"pad_token_id":3,"vocab_size":8})");
	Tokenizer tok(tokenizer_load(dir.path.c_str(), nullptr));
	ASSERT_NE(tok.enc, nullptr);
	EXPECT_EQ(tokenizer_role_id(tok.tok, TOKENIZER_BOS), 4);
	EXPECT_EQ(tokenizer_role_id(tok.tok, TOKENIZER_EOS), 2);
	EXPECT_EQ(tokenizer_role_id(tok.tok, TOKENIZER_PAD), 3);
	EXPECT_EQ(tokenizer_role_id(tok.tok, TOKENIZER_UNK), -1);
}

/* As transformers 5: special_tokens_map.json counts more, and not at all beside a list of the added tokens. */
TEST(Questions, SpecialTokensMapAgainstTheConfiguration)
{
	const struct {
		const char *config, *map;
		int32_t eos, cls; /* cls: whether "b" is special */
	} cases[] = {
		{R"({"eos_token":"ab"})", R"({"eos_token":"abb","cls_token":"b"})", 3, true},
		{R"({"eos_token":"ab","added_tokens_decoder":{}})", R"({"eos_token":"abb","cls_token":"b"})", 2, false},
		{R"({"added_tokens_decoder":{"4":{"content":"<s>"}}})", R"({"eos_token":"abb"})", -1, false},
		{R"({"added_tokens_decoder":{}})", R"({"eos_token":"no such token"})", -1, false},
	};

	for (const auto &c : cases) {
		Directory dir;
		struct err err = {};
		dir.put("tokenizer.json", small);
		dir.put("tokenizer_config.json", c.config);
		dir.put("special_tokens_map.json", c.map);
		Tokenizer tok(tokenizer_load(dir.path.c_str(), &err));
		ASSERT_NE(tok.enc, nullptr) << err.message;
		EXPECT_EQ(tokenizer_role_id(tok.tok, TOKENIZER_EOS), c.eos) << c.config << c.map;
		EXPECT_EQ(tokenizer_is_special(tok.tok, 1), c.cls) << c.config << c.map;
	}
}

/* What encoding "abab" gives, and which of the tokens in it are special. */
TEST(Questions, OtherSpecialTokensOfTheConfiguration)
{
	const struct {
		const char *name, *text;
		Ids ids, special;
	} cases[] = {
		{"tokenizer_config.json", R"({})", {2, 2}, {}},
		{"tokenizer_config.json", R"({"cls_token":"a"})", {0, 1, 0, 1}, {0}},
		{"tokenizer_config.json", R"({"sep_token":{"content":"a"},"mask_token":"b"})", {0, 1, 0, 1}, {0, 1}},
		{"tokenizer_config.json", R"({"mask_token":"[MASK]","cls_token":null})", {2, 2}, {}},
		{"tokenizer_config.json", R"({"additional_special_tokens":["b","<x>"]})", {0, 1, 0, 1}, {1}},
		{"tokenizer_config.json", R"({"extra_special_tokens":[{"content":"b"}]})", {0, 1, 0, 1}, {1}},
		{"tokenizer_config.json", R"({"extra_special_tokens":{"image_token":"b"}})", {0, 1, 0, 1}, {1}},
		{"tokenizer_config.json",
		 R"({"extra_special_tokens":[],"additional_special_tokens":null})",
		 {2, 2},
		 {}},
		{"tokenizer_config.json",
		 R"({"extra_special_tokens":["a"],"additional_special_tokens":["b"]})",
		 {0, 1, 0, 1},
		 {0}},
		{"special_tokens_map.json", R"({"additional_special_tokens":["b"]})", {0, 1, 0, 1}, {1}},
	};

	for (const auto &c : cases) {
		Directory dir;
		struct err err = {};
		dir.put("tokenizer.json", small);
		dir.put(c.name, c.text);
		Tokenizer tok(tokenizer_load(dir.path.c_str(), &err));
		Ids special;
		ASSERT_NE(tok.enc, nullptr) << err.message;
		EXPECT_EQ(tok.encode("abab"), c.ids) << c.text;
		for (int32_t id = 0; id < 4; id++) {
			if (tokenizer_is_special(tok.tok, id))
				special.push_back(id);
		}
		EXPECT_EQ(special, c.special) << c.text;
	}
}

/* The seeds of tests/fuzz_tokenizer.c: the first line a tokenizer.json, the rest a text. */
TEST(Corpus, LoadsOrIsRefused)
{
	const char *root = getenv("TEST_SRCDIR");
	const std::string folder = std::string(root ? root : ".") + "/tests/corpus/tokenizer/";

	for (const char *name : {"byte_level", "gpt2", "llama2", "metaspace", "classes", "refused"}) {
		std::string input = read_text(folder + name + ".json");
		size_t line = input.find('\n');
		Tokenizer tok(input.substr(0, line));
		EXPECT_EQ(tok.enc != nullptr, name != "refused"s) << name << ": " << tok.err.message;
		if (tok.enc) {
			EXPECT_FALSE(tok.encode(input.substr(line + 1), true).empty()) << name;
		}
	}
}

TEST(Questions, AddedTokensOfTheConfiguration)
{
	Directory dir;

	dir.put("tokenizer.json", small);
	dir.put("tokenizer_config.json",
		R"({"added_tokens_decoder":{"4":{"content":"<s>","special":true},"5":{"content":"<x>"}}})");
	Tokenizer tok(tokenizer_load(dir.path.c_str(), nullptr));
	ASSERT_NE(tok.enc, nullptr);
	EXPECT_EQ(tok.encode("a<x>b"), (Ids{0, 5, 1}));
}

/* transformers adds the tokens of the configuration again, and those with a role as special ones. */
TEST(Questions, FlagsOfTheConfigurationCount)
{
	const char json[] =
		R"({"added_tokens":[{"id":4,"content":"<s>","special":false,"rstrip":true}],)"
		R"("normalizer":{"type":"Lowercase"},"model":{"vocab":{"a":0,"b":1," ":2,"s":3},"merges":[]}})";
	const struct {
		const char *config;
		bool special;
		Ids upper, lower, inside; /* "a <S> b", "a <s> b", "a<s>b" */
	} cases[] = {
		{R"({})", false, {0, 2, 4, 1}, {0, 2, 4, 1}, {0, 4, 1}},
		{R"({"eos_token":"<s>"})", true, {0, 2, 4, 1}, {0, 2, 4, 1}, {0, 4, 1}},
		{R"({"added_tokens_decoder":{"4":{"content":"<s>"}}})",
		 false,
		 {0, 2, 4, 2, 1},
		 {0, 2, 4, 2, 1},
		 {0, 4, 1}},
		{R"({"added_tokens_decoder":{"4":{"content":"<s>","special":true}}})",
		 true,
		 {0, 2, 3, 2, 1},
		 {0, 2, 4, 2, 1},
		 {0, 4, 1}},
		{R"({"pad_token":"<s>",)"
		 R"("added_tokens_decoder":{"4":{"content":"<s>","lstrip":true,"normalized":false}}})",
		 true,
		 {0, 2, 3, 2, 1},
		 {0, 4, 2, 1},
		 {0, 4, 1}},
		{R"({"added_tokens_decoder":{"4":{"content":"<s>","single_word":true}}})",
		 false,
		 {0, 2, 4, 2, 1},
		 {0, 2, 4, 2, 1},
		 {0, 3, 1}},
	};

	for (const auto &c : cases) {
		Directory dir;
		dir.put("tokenizer.json", json);
		dir.put("tokenizer_config.json", c.config);
		Tokenizer tok(tokenizer_load(dir.path.c_str(), nullptr));
		ASSERT_NE(tok.enc, nullptr) << c.config;
		EXPECT_EQ(tokenizer_is_special(tok.tok, 4), c.special) << c.config;
		EXPECT_EQ(tok.decode({0, 4}, true), c.special ? "a" : "a <s>") << c.config;
		EXPECT_EQ(tok.encode("a <S> b"), c.upper) << c.config;
		EXPECT_EQ(tok.encode("a <s> b"), c.lower) << c.config;
		EXPECT_EQ(tok.encode("a<s>b"), c.inside) << c.config;
	}
}

TEST(Questions, ChatTemplateWhereverItStands)
{
	const struct {
		const char *config, *jinja, *text;
	} cases[] = {
		{R"({"chat_template":"plain \"1000000000000000000000\""})", nullptr,
		 "plain \"1000000000000000000000\""},
		{R"({"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]})", nullptr,
		 "d"},
		{R"({"chat_template":null})", nullptr, nullptr},
		{R"({"chat_template":"old"})", "new", "new"},
	};

	for (const auto &c : cases) {
		Directory dir;
		dir.put("tokenizer.json", small);
		dir.put("tokenizer_config.json", c.config);
		if (c.jinja)
			dir.put("chat_template.jinja", c.jinja);
		Tokenizer tok(tokenizer_load(dir.path.c_str(), nullptr));
		ASSERT_NE(tok.enc, nullptr);
		EXPECT_STREQ(tokenizer_chat_template(tok.tok), c.text);
	}
}

TEST(Questions, FilesThatAreWrong)
{
	const struct {
		const char *name, *text;
		int code;
		const char *rule;
	} cases[] = {
		{nullptr, nullptr, ERR_DATA, "tokenizer.json"},
		{"tokenizer.json", "{", ERR_DATA, "/tokenizer.json: byte 1: "},
		{"tokenizer_config.json", "{\"bos_token\":\"<none>\"}", ERR_DATA,
		 "/tokenizer_config.json: 'bos_token', '<none>', is not in tokenizer.json"},
		{"tokenizer_config.json", "{\"bos_token\":7}", ERR_DATA, "/tokenizer_config.json: 'bos_token'"},
		{"tokenizer_config.json", "{\"add_bos_token\":\"yes\"}", ERR_DATA,
		 "/tokenizer_config.json: 'add_bos_token'"},
		{"tokenizer_config.json", "{\"cls_token\":7}", ERR_DATA, "/tokenizer_config.json: 'cls_token'"},
		{"tokenizer_config.json", "{\"extra_special_tokens\":7}", ERR_DATA,
		 "/tokenizer_config.json: 'extra_special_tokens'"},
		{"special_tokens_map.json", "{\"additional_special_tokens\":[7]}", ERR_DATA,
		 "/special_tokens_map.json: 'additional_special_tokens[0]'"},
		{"tokenizer_config.json", "{\"chat_template\":7}", ERR_DATA, "/tokenizer_config.json: 'chat_template'"},
		{"tokenizer_config.json", "{\"added_tokens_decoder\":{\"x\":{}}}", ERR_DATA, "'x' is no id"},
		{"tokenizer_config.json", "{\"added_tokens_decoder\":{\"9\":{\"content\":\"q\"}}}", ERR_DATA,
		 "id 5 has no token"},
		{"tokenizer_config.json", "{\"added_tokens_decoder\":{\"3\":{\"content\":\"q\"}}}", ERR_DATA,
		 "id 3 has two tokens"},
		{"special_tokens_map.json", "[1,", ERR_DATA, "/special_tokens_map.json: byte 3: "},
		{"config.json", "{\"eos_token_id\":\"2\"}", ERR_DATA, "/config.json: 'eos_token_id'"},
		{"chat_template.jinja", "\xFF", ERR_DATA, "/chat_template.jinja: not a text in UTF-8"},
	};

	for (const auto &c : cases) {
		Directory dir;
		struct err err = {};
		if (c.name)
			dir.put("tokenizer.json", small);
		if (c.name)
			dir.put(c.name, c.text);
		EXPECT_EQ(tokenizer_load(dir.path.c_str(), &err), nullptr);
		EXPECT_EQ(err.code, c.code) << err.message;
		EXPECT_NE(strstr(err.message, c.rule), nullptr) << err.message << "\n  not: " << c.rule;
	}
	struct err err = {};
	EXPECT_EQ(tokenizer_load("/nonexistent/model", &err), nullptr);
	EXPECT_EQ(err.code, ERR_NOINPUT) << err.message;
}

} // namespace
