// SPDX-License-Identifier: Apache-2.0
/*
 * Weights in files. A table of broken files, each with the rule its refusal
 * must name; good files read back; a file of the Python package; files that
 * change while they are open; directories of shards; what the writer makes.
 */
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "src/model/safetensors.h"
#include "src/model/shards.h"
#include "tests/temporary.h"

using namespace std::string_literals;

namespace
{

std::string length_of(uint64_t n)
{
	std::string bytes(8, '\0');
	for (size_t i = 0; i < 8; i++)
		bytes[i] = (char)(n >> 8 * i);
	return bytes;
}

std::string file_of(const std::string &header, const std::string &data = "")
{
	return length_of(header.size()) + header + data;
}

std::string file_of(const std::string &header, size_t zeros)
{
	return file_of(header, std::string(zeros, '\0'));
}

/* "NAME":{"dtype":…}, raw where a case wants it wrong */
std::string tensor(const std::string &name, const std::string &dtype, const std::string &shape,
		   const std::string &offsets)
{
	return "\"" + name + "\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

std::string f32(const std::string &name, size_t begin, size_t n)
{
	return tensor(name, "\"F32\"", "[" + std::to_string(n) + "]",
		      "[" + std::to_string(begin) + "," + std::to_string(begin + 4 * n) + "]");
}

std::string object(const std::vector<std::string> &members)
{
	std::string text = "{";
	for (size_t i = 0; i < members.size(); i++)
		text += (i ? "," : "") + members[i];
	return text + "}";
}

/* One tensor of one f32 with some of its fields replaced. */
std::string one(const std::string &dtype, const std::string &shape, const std::string &offsets, size_t data = 4)
{
	return file_of(object({tensor("a", dtype, shape, offsets)}), data);
}

const std::string good = object({f32("a", 0, 1)});

struct Broken {
	std::string bytes;
	const char *rule;
};

/* RELIABILITY: framing */
const std::vector<Broken> framing = {
	{"", "0 bytes"},
	{"\x10\0\0\0\0\0\0"s, "7 bytes"},
	{length_of(0), "must start with '{'"},
	{length_of(1) + "{", "nothing but spaces behind"},
	{length_of(1) + "{}", "nothing but spaces behind"},
	{length_of(1u << 31) + good, "the limit is 100000000"},
	{length_of(1ull << 63) + good, "the limit is 100000000"},
	{length_of(~0ull) + good, "the limit is 100000000"},
	{length_of(100000001) + good, "the limit is 100000000"},
	{length_of(100000000) + good, "a header of 100000000 bytes in a file of"},
	{length_of(good.size() + 5) + good + "\0\0\0\0"s, "in a file of"},
	{length_of(good.size() + 1) + good + "\0\0\0\0"s, "nothing but spaces behind"},
	{length_of(good.size() - 1) + good + "\0\0\0\0"s, "ends too early"},
	{file_of("{}"), "no tensors"},
	{file_of("{}", 4), "no tensors"},
	{file_of(" " + good, 4), "must start with '{'"},
	{file_of("\xEF\xBB\xBF" + good, 4), "must start with '{'"},
	{file_of(good + "\0\0"s, 4), "nothing but spaces behind"},
	{file_of(good + "\n", 4), "nothing but spaces behind"},
	{file_of(good + " \t", 4), "nothing but spaces behind"},
	{file_of(good + "x", 4), "nothing but spaces behind"},
	{file_of(good + "{}", 4), "trailing bytes after the value"},
	{file_of(good, 3), "cut short"},
	{file_of(good, 0), "cut short"},
	{file_of(good, 5), "longer than its content"},
	{file_of(good, "\0\0\0\0trailing garbage"s), "longer than its content"},
	{"PK\x03\x04\0\0\x08\x08 and the rest of an archive"s, "PyTorch archive"},
	{"\x80\x02}q\0X\x05\0\0\0model"s, "Python pickle"},
	{"GGUF\x03\0\0\0\x01\0\0\0"s, "GGUF"},
	{"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"},
};

/* RELIABILITY: JSON */
const std::string a_fields = "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]";
const std::vector<Broken> json = {
	{file_of(object({f32("a", 0, 1), f32("a", 0, 1)}), 4), "duplicate key 'a'"},
	{file_of(object({f32("a", 0, 1), f32("a", 4, 1)}), 8), "duplicate key 'a'"},
	{file_of(object({f32("a", 0, 1), f32("\\u0061", 4, 1)}), 8), "duplicate key 'a'"},
	{file_of("{\"__metadata__\":{},\"__metadata__\":{}," + good.substr(1), 4), "duplicate key '__metadata__'"},
	{file_of("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}," + good.substr(1), 4), "duplicate key 'k'"},
	{file_of("{\"a\":{" + a_fields + ",\"dtype\":\"F32\"}}", 4), "duplicate key 'dtype'"},
	{file_of("{\"a\":{" + a_fields + ",\"strides\":[1]}}", 4), "unknown field 'strides'"},
	{file_of("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4), "field 'dtype' is missing"},
	{file_of("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4), "field 'shape' is missing"},
	{file_of("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4), "field 'data_offsets' is missing"},
	{file_of("{\"a\":{}}", 4), "is missing"},
	{file_of("{\"a\":[]}", 4), "a tensor must be an object"},
	{file_of("{\"a\":null}", 4), "a tensor must be an object"},
	{file_of("{\"__metadata__\":{\"format\":1}," + good.substr(1), 4), "must be a string"},
	{file_of("{\"__metadata__\":{\"format\":{}}," + good.substr(1), 4), "must be a string"},
	{file_of("{\"__metadata__\":\"pt\"," + good.substr(1), 4), "must be an object of strings"},
	{file_of("{\"__metadata__\":{\"format\":\"p\\u0000t\"}," + good.substr(1), 4), "NUL character"},
	{file_of("{\"__metadata__\":{\"format\":\"pt\"}}"), "no tensors"},
	{file_of("[]"), "must start with '{'"},
	{file_of("null"), "must start with '{'"},
	{file_of("{\"a\":" + std::string(200, '[') + std::string(200, ']') + "}", 4), "a tensor must be an object"},
	{one("\"F32\"", std::string(200, '[') + std::string(200, ']'), "[0,4]"), "nested deeper than 3 levels"},
	{one("\"F32\"", "[[1]]", "[0,4]"), "nested deeper than 3 levels"},
	{file_of("{\"__metadata__\":{\"k\":" + std::string(200, '[') + std::string(200, ']') + "}}"),
	 "must be a string"},
	{one("\"F32\"", "[NaN]", "[0,4]"), "NaN is not a JSON number"},
	{one("\"F32\"", "[1]", "[0,NaN]"), "NaN is not a JSON number"},
	{file_of("{/* */" + good.substr(1), 4), "comments are not allowed"},
	{file_of(good.substr(0, good.size() - 1) + ",}", 4), "trailing comma"},
	{one("\"F32\"", "[1,]", "[0,4]"), "trailing comma"},
	{file_of("{'a':{" + a_fields + "}}", 4), "single quotes"},
	{one("\"F32\"", "[01]", "[0,4]"), "leading zero"},
	{one("\"F32\"", "[1]", "[0,04]"), "leading zero"},
	{one("\"F32\"", "[1]", "[0,4e0]"), "'data_offsets': byte"},
	{one("\"F32\"", "[1]", "[0,4.0]"), "expected an integer"},
	{one("\"F32\"", "[1]", "[\"0\",4]"), "expected an integer"},
	{one("\"F32\"", "[1]", "[-4,0]"), "expected an integer"},
	{one("\"F32\"", "[1]", "[-0,4]"), "expected an integer"},
	{one("\"F32\"", "[1]", "[0,18446744073709551616]"), "integer out of range"},
	{one("\"F32\"", "[1]", "[0,18446744073709551615]"), "data_offsets give it 18446744073709551615"},
	{one("\"F32\"", "[1]", "[null,4]"), "expected an integer"},
	{one("\"F32\"", "[1]", "[0,true]"), "expected an integer"},
	{file_of(object({f32("\xFF", 0, 1)}), 4), "bad UTF-8"},
	{file_of(object({f32("\xC0\xAF", 0, 1)}), 4), "bad UTF-8"},
	{file_of(object({f32("\xED\xA0\x80", 0, 1)}), 4), "bad UTF-8"},
	{file_of(object({f32("\\ud800", 0, 1)}), 4), "lone surrogate"},
	{file_of(object({f32("a\\u0000", 0, 1)}), 4), "\\u0000 in a key"},
	{file_of(object({f32("a\nb", 0, 1)}), 4), "raw control character"},
	{file_of(object({f32("a\\nb", 0, 1)}), 4), "control character in a tensor name"},
	{file_of(object({f32("a\x7F", 0, 1)}), 4), "control character in a tensor name"},
	{file_of(object({f32("a\xC2\x9B"
			     "2J",
			     0, 1)}),
		 4),
	 "control character in a tensor name"},
	{file_of(object({f32("", 0, 1)}), 4), "name of 0 bytes"},
	{file_of(object({f32(std::string(1025, 'x'), 0, 1)}), 4), "name of 1025 bytes"},
	{file_of(object({f32(std::string(1 << 20, 'x'), 0, 1)}), 4), "name of 1048576 bytes"},
	{file_of(object({f32("../x", 0, 1)}), 4), "'..' as part of a tensor name"},
	{file_of(object({f32("x/..", 0, 1)}), 4), "'..' as part of a tensor name"},
};

/* RELIABILITY: tensors */
const std::vector<Broken> tensors = {
	{one("\"F33\"", "[1]", "[0,4]"), "unknown dtype 'F33'"},
	{one("\"f32\"", "[1]", "[0,4]"), "unknown dtype 'f32'"},
	{one("\"F32 \"", "[1]", "[0,4]"), "unknown dtype"},
	{one("\"F32\\u0000\"", "[1]", "[0,4]"), "unknown dtype"},
	{one("\"\\u001b[2J\"", "[1]", "[0,4]"), "unknown dtype '\\x1B[2J'"},
	{one("32", "[1]", "[0,4]"), "'dtype' must be a string"},
	{one("\"F32\"", "1", "[0,4]"), "'shape' must be an array"},
	{one("\"F32\"", "null", "[0,4]"), "'shape' must be an array"},
	{one("\"F32\"", "[1]", "4"), "'data_offsets' must be an array"},
	{one("\"F32\"", "[1]", "{}"), "'data_offsets' must be an array"},
	{one("\"F32\"", "[1]", "[]"), "must have two items"},
	{one("\"F32\"", "[1]", "[4]"), "must have two items"},
	{one("\"F32\"", "[1]", "[0,4,4]"), "must have two items"},
	{one("\"F32\"", "[1]", "[4,0]"), "run backwards"},
	{file_of(object({f32("a", 4, 1)}), 8), "a hole in the file"},
	{file_of(object({f32("a", 0, 1), f32("b", 8, 1)}), 12), "a hole in the file"},
	{file_of(object({f32("a", 0, 1)}), 8), "longer than its content"},
	{file_of(object({f32("a", 0, 2), f32("b", 0, 2)}), 8), "tensors overlap"},
	{file_of(object({f32("a", 0, 2), f32("b", 4, 2)}), 12), "tensors overlap"},
	{file_of(object({f32("a", 0, 4), f32("b", 4, 1)}), 16), "tensors overlap"},
	{file_of(object({f32("a", 0, 2), f32("b", 4, 0)}), 8), "tensors overlap"},
	{one("\"F32\"", "[2]", "[0,4]"), "dtype and shape make 8 bytes, data_offsets give it 4"},
	{one("\"F16\"", "[1]", "[0,4]"), "dtype and shape make 2 bytes, data_offsets give it 4"},
	{one("\"U8\"", "[4294967296,4294967296]", "[0,0]", 0), "does not fit 64 bits"},
	{one("\"U8\"", "[9223372036854775807,2]", "[0,4]"), "does not fit 64 bits"},
	{one("\"F32\"", "[4611686018427387904]", "[0,0]", 0), "does not fit 64 bits"},
	{one("\"F64\"", "[2305843009213693952]", "[0,0]", 0), "does not fit 64 bits"},
	{one("\"F32\"", "[0,4611686018427387904,4]", "[0,0]", 0), "does not fit 64 bits"},
	{one("\"F32\"", "[4611686018427387904,4,0]", "[0,0]", 0), "does not fit 64 bits"},
	{one("\"F32\"", "[18446744073709551615]", "[0,4]"), "a dimension above 2^63 - 1"},
	{one("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), "more than 8 dimensions"},
	{one(
		 "\"F32\"",
		 [] {
			 std::string s = "[1";
			 for (int i = 1; i < 70; i++)
				 s += ",1";
			 return s + "]";
		 }(),
		 "[0,4]"),
	 "more than 8 dimensions"},
	{one("\"F32\"", "[-1]", "[0,4]"), "expected an integer"},
	{one("\"F32\"", "[1.0]", "[0,4]"), "expected an integer"},
	{one("\"F4\"", "[3]", "[0,1]", 1), "12 bits of F4 do not fill whole bytes"},
	{one("\"F6_E2M3\"", "[3]", "[0,2]", 2), "18 bits of F6_E2M3 do not fill whole bytes"},
};

void expect_refused(const std::vector<Broken> &cases, const std::string &path)
{
	for (const Broken &c : cases) {
		struct err err = {};
		write_file(path, c.bytes);
		struct safetensors *file = safetensors_open(path.c_str(), &err);
		EXPECT_EQ(file, nullptr) << c.rule;
		safetensors_close(file);
		EXPECT_EQ(err.code, ERR_DATA) << c.rule << ": " << err.message;
		EXPECT_NE(strstr(err.message, c.rule), nullptr) << c.rule << ": " << err.message;
		EXPECT_EQ(std::string(err.message).rfind(path + ": ", 0), 0u) << err.message;
	}
}

/* A file opened, closed at the end of its scope. */
struct Open {
	struct err err = {};
	struct safetensors *file;

	explicit Open(const std::string &path) : file(safetensors_open(path.c_str(), &err))
	{
	}
	~Open()
	{
		safetensors_close(file);
	}
	struct tensor_info info(const char *name)
	{
		struct tensor_info found = {};
		EXPECT_TRUE(safetensors_find(file, name, &found)) << name;
		return found;
	}
	std::vector<float> values(const char *name)
	{
		struct tensor_info t = info(name);
		std::vector<float> out((size_t)tensor_elements(&t), -1);
		EXPECT_EQ(tensor_read_f32(&t, 0, tensor_rows(&t), out.data(), &err), 0) << err.message;
		return out;
	}
};

template <class T> std::string bytes_of(const std::vector<T> &values)
{
	return std::string((const char *)values.data(), values.size() * sizeof(T));
}

struct Safetensors : testing::Test {
	Temporary dir;
	std::string path = dir / "model.safetensors";
};

TEST_F(Safetensors, BrokenFramingIsRefused)
{
	expect_refused(framing, path);
}

TEST_F(Safetensors, BrokenJsonIsRefused)
{
	expect_refused(json, path);
}

TEST_F(Safetensors, BrokenTensorsAreRefused)
{
	expect_refused(tensors, path);
}

TEST_F(Safetensors, MissingAndIrregularFilesAreNoInput)
{
	EXPECT_EQ(Open(dir / "absent").err.code, ERR_NOINPUT);
	EXPECT_EQ(Open(dir.path).err.code, ERR_NOINPUT);
	ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
	EXPECT_EQ(Open(path).err.code, ERR_NOINPUT);
}

TEST_F(Safetensors, EveryCutAndEveryFlippedBitIsReadOrRefused)
{
	const std::string whole =
		file_of(object({"\"__metadata__\":{\"format\":\"pt\"}", f32("ab", 0, 1), f32("c", 4, 2)}) + "  ", 12);
	for (size_t n = 0; n < whole.size(); n++) {
		write_file(path, whole.substr(0, n));
		EXPECT_EQ(Open(path).err.code, ERR_DATA) << n;
	}
	for (size_t bit = 0; bit < 8 * whole.size(); bit++) {
		std::string flipped = whole;
		flipped[bit / 8] = (char)(flipped[bit / 8] ^ 1 << bit % 8);
		write_file(path, flipped);
		Open open(path);
		if (open.file)
			EXPECT_EQ(safetensors_count(open.file), 2u) << bit;
		else
			EXPECT_EQ(open.err.code, ERR_DATA) << bit << ": " << open.err.message;
	}
}

TEST_F(Safetensors, ScalarsEmptyAndUnalignedTensorsAreRead)
{
	std::vector<float> values = {1.5f, -2.5f, 3.5f};
	std::string header =
		object({tensor("byte", "\"U8\"", "[1]", "[0,1]"), tensor("empty", "\"F32\"", "[3,0,2]", "[1,1]"),
			tensor("scalar", "\"F32\"", "[]", "[1,5]"), tensor("row", "\"F32\"", "[1,2]", "[5,13]"),
			tensor("end", "\"BF16\"", "[0]", "[13,13]")});
	header.resize((header.size() + 7) / 8 * 8, ' ');
	write_file(path, file_of(header, "\x7F" + bytes_of(values)));
	Open open(path);
	ASSERT_NE(open.file, nullptr) << open.err.message;
	struct tensor_info scalar = open.info("scalar"), empty = open.info("empty"), row = open.info("row");
	EXPECT_EQ(scalar.rank, 0);
	EXPECT_EQ(tensor_elements(&scalar), 1);
	EXPECT_EQ(scalar.begin % 4, 1u) << "the case wants it unaligned";
	EXPECT_EQ(open.values("scalar"), std::vector<float>({1.5f}));
	EXPECT_EQ(open.values("row"), std::vector<float>({-2.5f, 3.5f}));
	EXPECT_EQ(tensor_row_elements(&row), 2);
	EXPECT_EQ(empty.rank, 3);
	EXPECT_EQ(tensor_rows(&empty), 3);
	EXPECT_EQ(tensor_elements(&empty), 0);
	EXPECT_EQ(open.values("empty"), std::vector<float>());
}

TEST_F(Safetensors, OrderOfHeaderAndDataIsFree)
{
	write_file(path, file_of(object({f32("z", 4, 1), "\"__metadata__\":{\"k\":\"\\u0041\",\"empty\":\"\"}",
					 f32("a", 0, 1)}),
				 bytes_of(std::vector<float>{1, 2})));
	Open open(path);
	ASSERT_NE(open.file, nullptr) << open.err.message;
	struct tensor_info first;
	safetensors_get(open.file, 0, &first);
	EXPECT_STREQ(first.name, "a");
	EXPECT_STREQ(safetensors_name(open.file, 1), "z");
	EXPECT_EQ(open.values("z"), std::vector<float>({2}));
	EXPECT_STREQ(safetensors_metadata(open.file, "k"), "A");
	EXPECT_STREQ(safetensors_metadata(open.file, "empty"), "");
	EXPECT_EQ(safetensors_metadata(open.file, "K"), nullptr);
	EXPECT_FALSE(safetensors_find(open.file, "b", &first));
}

TEST_F(Safetensors, NamesMayHaveEscapesAndTheGreatestLength)
{
	std::string longest(1024, 'n');
	write_file(path, file_of(object({f32("\\u00e9\\ud83d\\ude00\\/x", 0, 1), f32(longest, 4, 1)}), 8));
	Open open(path);
	ASSERT_NE(open.file, nullptr) << open.err.message;
	open.info("\u00e9\U0001F600/x");
	open.info(longest.c_str());
}

/* Sizes of all types of the format: bits of an element. */
TEST_F(Safetensors, EveryOfficialTypeIsKnownAndOnlyThreeAreWeights)
{
	const std::map<std::string, size_t> types = {
		{"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
		{"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
		{"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
		{"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};
	for (const auto &type : types) {
		size_t n = 8 * type.second / 8;
		write_file(path, one("\"" + type.first + "\"", "[2,4]", "[0," + std::to_string(n) + "]", n));
		Open open(path);
		ASSERT_NE(open.file, nullptr) << open.err.message;
		struct tensor_info t = open.info("a");
		bool weight = type.first == "F32" || type.first == "BF16" || type.first == "F16";
		EXPECT_EQ(t.type, type.first);
		EXPECT_EQ(t.weight, weight) << type.first;
		EXPECT_EQ(t.bytes, n);
		float out[8];
		int64_t shape[] = {2, 4};
		EXPECT_EQ(tensor_read_f32(&t, 0, 2, out, &open.err), weight ? 0 : -1) << type.first;
		EXPECT_EQ(tensor_expect(&t, 2, shape, &open.err), weight ? 0 : -1) << type.first;
		if (!weight) {
			EXPECT_NE(strstr(open.err.message, ("has dtype " + type.first).c_str()), nullptr)
				<< open.err.message;
		}
	}
}

/* What a 16-bit pattern is worth, from the definition of its parts. */
double worth(uint16_t bits, int fraction, int bias)
{
	int e = (bits & 0x7FFF) >> fraction, q = bits & ((1 << fraction) - 1), top = (0x8000 >> fraction) - 1;
	double sign = bits & 0x8000 ? -1 : 1;
	if (e == top)
		return q ? NAN : sign * INFINITY;
	return sign * (e ? std::ldexp(q + (1 << fraction), e - bias - fraction) : std::ldexp(q, 1 - bias - fraction));
}

TEST_F(Safetensors, AllHalvesConvertExactly)
{
	std::vector<uint16_t> bits(65536);
	for (size_t i = 0; i < bits.size(); i++)
		bits[i] = (uint16_t)i;
	write_file(path, file_of(object({tensor("f", "\"F16\"", "[65536]", "[0,131072]"),
					 tensor("b", "\"BF16\"", "[256,256]", "[131072,262144]")}),
				 bytes_of(bits) + bytes_of(bits)));
	Open open(path);
	ASSERT_NE(open.file, nullptr) << open.err.message;
	std::vector<float> f = open.values("f"), b = open.values("b");
	for (size_t i = 0; i < bits.size(); i++) {
		double of_f = worth(bits[i], 10, 15), of_b = worth(bits[i], 7, 127);
		ASSERT_TRUE(std::isnan(of_f) ? std::isnan(f[i]) : f[i] == of_f) << i;
		ASSERT_TRUE(std::isnan(of_b) ? std::isnan(b[i]) : b[i] == of_b) << i;
		ASSERT_EQ(std::signbit(f[i]), (i & 0x8000) != 0) << i;
		ASSERT_EQ(std::signbit(b[i]), (i & 0x8000) != 0) << i;
	}
}

TEST_F(Safetensors, RowsAreReadFromAnyPlace)
{
	std::vector<float> values(70000 * 3);
	std::vector<uint16_t> halves(values.size());
	for (size_t i = 0; i < values.size(); i++) {
		halves[i] = (uint16_t)(0x3F80 + i % 1000);
		uint32_t word = (uint32_t)halves[i] << 16;
		memcpy(&values[i], &word, 4);
	}
	size_t n = values.size();
	write_file(path, file_of(object({tensor("f", "\"F32\"", "[70000,3]", "[0," + std::to_string(4 * n) + "]"),
					 tensor("b", "\"BF16\"", "[70000,3]",
						"[" + std::to_string(4 * n) + "," + std::to_string(6 * n) + "]")}),
				 bytes_of(values) + bytes_of(halves)));
	Open open(path);
	ASSERT_NE(open.file, nullptr) << open.err.message;
	for (const char *name : {"f", "b"}) {
		struct tensor_info t = open.info(name);
		for (auto [row, rows] :
		     {std::pair<int64_t, int64_t>{0, 70000}, {0, 1}, {69999, 1}, {5461, 6000}, {17, 0}, {70000, 0}}) {
			std::vector<float> out((size_t)rows * 3 + 1, -7);
			ASSERT_EQ(tensor_read_f32(&t, row, rows, out.data(), &open.err), 0) << open.err.message;
			EXPECT_EQ(memcmp(out.data(), values.data() + 3 * row, (size_t)rows * 12), 0) << name << row;
			EXPECT_EQ(out.back(), -7) << "one element too many";
		}
		float out[3];
		EXPECT_EQ(tensor_read_f32(&t, 69999, 2, out, &open.err), -1);
		EXPECT_EQ(open.err.code, ERR_INTERNAL);
		EXPECT_EQ(tensor_read(&t, -1, 1, out, &open.err), -1);
		EXPECT_EQ(tensor_read(&t, 1, -1, out, &open.err), -1);
		EXPECT_EQ(tensor_read(&t, INT64_MAX, INT64_MAX, out, &open.err), -1);
	}
	uint16_t raw[6];
	struct tensor_info t = open.info("b");
	ASSERT_EQ(tensor_read(&t, 100, 2, raw, &open.err), 0);
	EXPECT_EQ(memcmp(raw, &halves[300], sizeof raw), 0);
}

TEST_F(Safetensors, ShapesThatDifferAreNamed)
{
	write_file(path, one("\"F32\"", "[1,1]", "[0,4]"));
	Open open(path);
	struct tensor_info t = open.info("a");
	int64_t vocab_rows[] = {2, 1}, same[] = {1, 1};
	EXPECT_EQ(tensor_expect(&t, 2, same, &open.err), 0);
	EXPECT_EQ(tensor_expect(&t, 1, same, &open.err), -1);
	EXPECT_EQ(tensor_expect(&t, 2, vocab_rows, &open.err), -1);
	EXPECT_EQ(open.err.code, ERR_DATA);
	EXPECT_EQ(open.err.message, path + ": tensor 'a' has shape [1, 1]; config.json asks for [2, 1]");
}

TEST(Finite, TheFirstBadElementIsNamed)
{
	struct err err = {};
	float f[] = {0, -1, std::numeric_limits<float>::max(), INFINITY, NAN};
	uint16_t b[] = {0x7F7F, 0x8000, 0xFF80, 0}, h[] = {0x7BFF, 0x0001, 0x7C01, 0};
	EXPECT_EQ(tensor_check_finite("w", DTYPE_F32, f, 3, &err), 0);
	EXPECT_EQ(tensor_check_finite("w", DTYPE_F32, f, 5, &err), -1);
	EXPECT_EQ(err.code, ERR_DATA);
	EXPECT_STREQ(err.message, "tensor 'w': element 3 is infinite");
	EXPECT_EQ(tensor_check_finite("w", DTYPE_F32, f + 4, 1, &err), -1);
	EXPECT_STREQ(err.message, "tensor 'w': element 0 is NaN");
	EXPECT_EQ(tensor_check_finite("w", DTYPE_BF16, b, 2, &err), 0);
	EXPECT_EQ(tensor_check_finite("w", DTYPE_BF16, b, 4, &err), -1);
	EXPECT_STREQ(err.message, "tensor 'w': element 2 is infinite");
	EXPECT_EQ(tensor_check_finite("w", DTYPE_F16, h, 2, &err), 0);
	EXPECT_EQ(tensor_check_finite("w", DTYPE_F16, h, 4, &err), -1);
	EXPECT_STREQ(err.message, "tensor 'w': element 2 is NaN");
}

/* Each change under an open file must be an error of every later read, never a signal and never other values. */
TEST_F(Safetensors, AChangedFileIsRefused)
{
	const std::string bytes = file_of(object({f32("a", 0, 30000)}), 120000);
	const std::map<std::string, std::function<void()>> changes = {
		{"truncated", [&] { ASSERT_EQ(truncate(path.c_str(), 200), 0); }},
		{"emptied", [&] { ASSERT_EQ(truncate(path.c_str(), 0), 0); }},
		{"grown", [&] { ASSERT_EQ(truncate(path.c_str(), 130000), 0); }},
		{"rewritten",
		 [&] {
			 usleep(20000);
			 write_file(path, bytes);
		 }},
		{"replaced",
		 [&] {
			 write_file(path + ".new", bytes);
			 ASSERT_EQ(rename((path + ".new").c_str(), path.c_str()), 0);
		 }},
		{"removed", [&] { ASSERT_EQ(unlink(path.c_str()), 0); }},
	};
	for (const auto &change : changes) {
		write_file(path, bytes);
		Open open(path);
		ASSERT_NE(open.file, nullptr) << open.err.message;
		struct tensor_info t = open.info("a");
		std::vector<float> out(30000);
		ASSERT_EQ(tensor_read(&t, 0, 30000, out.data(), &open.err), 0) << open.err.message;
		change.second();
		EXPECT_EQ(tensor_read(&t, 0, 30000, out.data(), &open.err), -1) << change.first;
		EXPECT_EQ(open.err.code, ERR_DATA) << change.first;
		EXPECT_NE(strstr(open.err.message, "while it was open"), nullptr) << open.err.message;
	}
}

TEST_F(Safetensors, AFileOfThePythonPackageIsRead)
{
	const char *source = getenv("TEST_SRCDIR");
	Open open((source ? source + "/"s : ""s) + "tests/golden/tensors.safetensors");
	ASSERT_NE(open.file, nullptr) << open.err.message;
	EXPECT_EQ(safetensors_count(open.file), 9u);
	EXPECT_STREQ(safetensors_metadata(open.file, "format"), "pt");
	EXPECT_EQ(open.values("f32.2"), std::vector<float>({-2.5, -1.5, -0.5, 0.5, 1.5, 2.5}));
	/* i / 3 rounded to 8 significant bits */
	EXPECT_EQ(open.values("bf16.2"),
		  std::vector<float>({0, 0.333984375f, 0.66796875f, 1, 1.3359375f, 1.6640625f, 2, 2.328125f}));
	std::vector<float> half = open.values("f16.1");
	EXPECT_EQ(half, std::vector<float>({0, 0, 1, 0x1p-14f, 0x1p-24f, 65504, INFINITY, 0.333251953125f}));
	EXPECT_TRUE(std::signbit(half[1]));
	EXPECT_EQ(open.values("f32.0"), std::vector<float>({7.25f}));
	EXPECT_EQ(open.info("f32.empty").shape[1], 5);
	EXPECT_STREQ(open.info("i64.1").type, "I64");
	EXPECT_STREQ(open.info("bool.1").type, "BOOL");
	EXPECT_STREQ(open.info("f8.1").type, "F8_E4M3");
	EXPECT_EQ(open.values("name \u00e9\u4e16"), std::vector<float>({1.5f}));
}

/* A million tensors cost 64 MiB and three times the header, seen by the pages a process had at most. */
TEST_F(Safetensors, AMillionTensorsFitTheMemoryPromised)
{
	std::string header = "{";
	for (size_t i = 0; i < 1u << 20; i++)
		header += (i ? ",\"" : "\"") + std::to_string(i) +
			  "\":{\"dtype\":\"F32\",\"shape\":[0,1],\"data_offsets\":[0,0]}";
	header += "}";
	write_file(path, file_of(header));
	pid_t child = fork();
	if (!child) {
		struct err err = {};
		struct rusage before, after;
		getrusage(RUSAGE_SELF, &before);
		struct safetensors *file = safetensors_open(path.c_str(), &err);
		getrusage(RUSAGE_SELF, &after);
		struct tensor_info t;
		if (!file || safetensors_count(file) != 1u << 20 || !safetensors_find(file, "1048575", &t))
			_exit(1);
		size_t grown = (size_t)(after.ru_maxrss - before.ru_maxrss) * 1024;
		_exit(grown > (64u << 20) + 3 * header.size() && !MEASURED_WITH_SHADOW ? 2 : 0);
	}
	int status = -1;
	ASSERT_EQ(waitpid(child, &status, 0), child);
	EXPECT_EQ(status, 0) << "exit 1: not read, exit 2: too much memory";
	header.back() = ',';
	header += "\"one too many\":{}}";
	write_file(path, file_of(header));
	Open open(path);
	EXPECT_EQ(open.file, nullptr);
	EXPECT_NE(strstr(open.err.message, "more than 1048576 tensors"), nullptr) << open.err.message;
}

/* ---- directories ---------------------------------------------------------- */

struct Directory : testing::Test {
	Temporary dir;
	struct err err = {};

	/* Two shards with a, b and c, and their index. */
	void SetUp() override
	{
		put("model-00001-of-00002.safetensors", {f32("a", 0, 1), f32("c", 4, 1)}, {1, 3});
		put("model-00002-of-00002.safetensors", {f32("b", 0, 1)}, {2});
		index({{"a", "1"}, {"b", "2"}, {"c", "1"}});
	}
	void put(const std::string &name, const std::vector<std::string> &members, const std::vector<float> &values)
	{
		write_file(dir / name, file_of(object(members), bytes_of(values)));
	}
	/* Tensor names and the numbers of their shards. */
	void index(const std::vector<std::pair<std::string, std::string>> &map, const std::string &total = "12")
	{
		std::vector<std::string> members;
		for (const auto &m : map)
			members.push_back("\"" + m.first + "\":\"model-0000" + m.second + "-of-00002.safetensors\"");
		raw_index("{\"metadata\":{\"total_size\":" + total + ",\"x\":[{}]},\"weight_map\":" + object(members) +
			  "}");
	}
	void raw_index(const std::string &text)
	{
		write_file(dir / "model.safetensors.index.json", text);
	}
	void expect_refused(const char *rule, int code = ERR_DATA)
	{
		err = {};
		struct shards *shards = shards_open(dir.path.c_str(), &err);
		EXPECT_EQ(shards, nullptr) << rule;
		shards_close(shards);
		EXPECT_EQ(err.code, code) << err.message;
		EXPECT_NE(strstr(err.message, rule), nullptr) << rule << ": " << err.message;
	}
	void expect_notes(const std::string &notes)
	{
		struct shards *shards = shards_open(dir.path.c_str(), &err);
		ASSERT_NE(shards, nullptr) << err.message;
		EXPECT_EQ(shards_notes(shards), notes);
		shards_close(shards);
	}
};

TEST_F(Directory, ShardsAreOneTable)
{
	struct shards *shards = shards_open(dir.path.c_str(), &err);
	ASSERT_NE(shards, nullptr) << err.message;
	EXPECT_STREQ(shards_notes(shards), "");
	ASSERT_EQ(shards_count(shards), 3u);
	for (size_t i = 0; i < 3; i++) {
		struct tensor_info t;
		float value;
		shards_get(shards, i, &t);
		EXPECT_EQ(t.name, std::string(1, (char)('a' + i)));
		ASSERT_EQ(tensor_read_f32(&t, 0, 1, &value, &err), 0) << err.message;
		EXPECT_EQ(value, (float)i + 1);
	}
	struct tensor_info t;
	EXPECT_TRUE(shards_find(shards, "b", &t));
	EXPECT_FALSE(shards_find(shards, "bb", &t));
	/* vocab_size other than the rows of the embedding */
	int64_t rows[] = {1}, more[] = {2};
	EXPECT_EQ(shards_expect(shards, "c", 1, rows, &t, &err), 0) << err.message;
	EXPECT_EQ(shards_expect(shards, "c", 1, more, &t, &err), -1);
	EXPECT_NE(strstr(err.message, "tensor 'c' has shape [1]; config.json asks for [2]"), nullptr) << err.message;
	EXPECT_EQ(shards_expect(shards, "d", 1, rows, &t, &err), -1);
	EXPECT_EQ(err.code, ERR_DATA);
	EXPECT_NE(strstr(err.message, "tensor 'd' is missing"), nullptr) << err.message;
	shards_close(shards);
}

TEST_F(Directory, OneFileNeedsNoIndex)
{
	put("model.safetensors", {f32("only", 0, 1)}, {1});
	expect_notes("model.safetensors is read, model.safetensors.index.json is ignored\n");
	unlink((dir / "model.safetensors.index.json").c_str());
	expect_notes("");
}

TEST_F(Directory, IndexAndShardsMustAgree)
{
	index({{"a", "1"}, {"b", "2"}});
	expect_refused("tensor 'c' of");
	index({{"a", "1"}, {"b", "2"}, {"c", "1"}, {"d", "2"}});
	expect_refused("tensor 'd' is listed in model.safetensors.index.json for 'model-00002-of-00002.safetensors', "
		       "but no shard");
	index({{"a", "1"}, {"b", "1"}, {"c", "2"}});
	expect_refused("tensor 'b' is listed in model.safetensors.index.json for 'model-00001");
	index({{"a", "1"}, {"b", "2"}, {"c", "2"}});
	expect_refused("tensor 'c' is listed");
	index({{"a", "1"}, {"b", "2"}, {"c", "1"}});
	put("model-00002-of-00002.safetensors", {f32("b", 0, 1), f32("c", 4, 1)}, {2, 3});
	expect_refused("tensor 'c' is in two shards");
}

TEST_F(Directory, AShardMustBeThereAndNoneLeftOut)
{
	index({{"a", "1"}, {"c", "1"}});
	expect_refused("model-00002-of-00002.safetensors' is not listed");
	index({{"a", "1"}, {"b", "2"}, {"c", "1"}});
	put("consolidated.safetensors", {f32("other", 0, 1)}, {1});
	expect_notes("");
	unlink((dir / "model-00002-of-00002.safetensors").c_str());
	expect_refused("model-00002-of-00002.safetensors");
	mkdir((dir / "model-00002-of-00002.safetensors").c_str(), 0700);
	expect_refused("is a directory");
}

TEST_F(Directory, NamesOfShardsStayInTheDirectory)
{
	const std::vector<std::string> names = {
		"../model.safetensors",
		"/etc/model.safetensors",
		"sub/model.safetensors",
		"..",
		".hidden.safetensors",
		".safetensors",
		"",
		"model.bin",
		"pytorch_model.bin",
		"a b.safetensors",
		"a\\\\b.safetensors",
		"a\\u0000.safetensors",
		"\u00e9.safetensors",
		"..safetensors",
		std::string(128, 'x') + ".safetensors",
	};
	for (const std::string &name : names) {
		raw_index("{\"weight_map\":{\"a\":\"" + name + "\"}}");
		expect_refused("bad name of a shard");
	}
}

TEST_F(Directory, BrokenIndexesAreRefused)
{
	const std::vector<Broken> cases = {
		{"", "ends too early"},
		{"[]", "must be an object"},
		{"null", "must be an object"},
		{"{}", "'weight_map' is missing or empty"},
		{"{\"weight_map\":{}}", "'weight_map' is missing or empty"},
		{"{\"weight_map\":[]}", "'weight_map' must be an object"},
		{"{\"weight_map\":{\"a\":1}}", "must be a string"},
		{"{\"weight_map\":{\"a\":null}}", "must be a string"},
		{"{\"metadata\":1}", "'metadata' must be an object"},
		{"{\"metadata\":{\"total_size\":\"12\"}}", "must be a number"},
		{"{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":\"x.safetensors\"}}", "duplicate key 'a'"},
		{"{\"weight_map\":{\"a\":\"x.safetensors\"}} x", "trailing bytes"},
		{"{\"weight_map\":{\"a\":\"x.safetensors\"},}", "trailing comma"},
		{"{\"x\":" + std::string(200, '[') + std::string(200, ']') + "}", "nested deeper"},
		{"{\"weight_map\":{\"a\":\"x.safetensors\"}}", "x.safetensors': No such file"},
	};
	for (const Broken &c : cases) {
		raw_index(c.bytes);
		expect_refused(c.rule);
	}
	std::vector<std::string> many;
	for (int i = 0; i <= LIMIT_SHARDS; i++)
		many.push_back("\"t" + std::to_string(i) + "\":\"s" + std::to_string(i) + ".safetensors\"");
	raw_index("{\"weight_map\":" + object(many) + "}");
	expect_refused("more than 512 shards");
}

TEST_F(Directory, AWrongTotalIsNoted)
{
	index({{"a", "1"}, {"b", "2"}, {"c", "1"}}, "13");
	expect_notes("model.safetensors.index.json: 'metadata.total_size' is 13; the tensors have 12 bytes\n");
	index({{"a", "1"}, {"b", "2"}, {"c", "1"}}, "12.0");
	expect_notes("");
	raw_index("{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\",\"c\":\"model-00001-of-00002."
		  "safetensors\","
		  "\"b\":\"model-00002-of-00002.safetensors\"}}");
	expect_notes("");
}

TEST_F(Directory, BrokenShardsAreRefused)
{
	write_file(dir / "model-00002-of-00002.safetensors", "GGUF\3\0\0\0\1\0\0\0"s);
	expect_refused("GGUF");
}

TEST_F(Directory, OtherFormatsAreNamed)
{
	for (const char *name :
	     {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"})
		unlink((dir / name).c_str());
	expect_refused("holds neither model.safetensors nor model.safetensors.index.json");
	for (const char *name : {"pytorch_model.bin", "model.pt", "consolidated.00.pth", "weights.pkl", "model.gguf"}) {
		write_file(dir / name, "x");
		expect_refused((std::string(name) + "' but no model.safetensors; safetensors is needed").c_str());
		unlink((dir / name).c_str());
	}
	ASSERT_EQ(symlink("nowhere", (dir / "model.safetensors").c_str()), 0);
	expect_refused("model.safetensors");
}

TEST(Shards, AMissingDirectoryIsNoInput)
{
	Temporary dir;
	struct err err = {};
	EXPECT_EQ(shards_open((dir / "absent").c_str(), &err), nullptr);
	EXPECT_EQ(err.code, ERR_NOINPUT);
	write_file(dir / "file", "x");
	EXPECT_EQ(shards_open((dir / "file").c_str(), &err), nullptr);
	EXPECT_EQ(err.code, ERR_NOINPUT);
}

/* ---- the writer ------------------------------------------------------------- */

/* Element i of every tensor is i, or what cannot be told exactly is left to the source. */
struct Source {
	std::vector<std::string> calls;
	const char *fail_at = nullptr;

	static int rows(void *context, const struct tensor_spec *t, int64_t row, int64_t n, void *out, struct err *err)
	{
		auto *self = (Source *)context;
		size_t width = 1;
		for (int i = 1; i < t->rank; i++)
			width *= (size_t)t->shape[i];
		self->calls.push_back(t->name + " "s + std::to_string(row) + " " + std::to_string(n));
		if (self->fail_at && !strcmp(self->fail_at, t->name))
			return err_set(err, ERR_IO, "the source failed");
		for (size_t i = 0; i < (size_t)n * width; i++) {
			float value = (float)((size_t)row * width + i);
			uint32_t word;
			memcpy(&word, &value, 4);
			if (t->dtype == DTYPE_F32)
				memcpy((char *)out + 4 * i, &word, 4);
			else
				((uint16_t *)out)[i] = (uint16_t)(word >> 16);
		}
		return 0;
	}
};

const std::vector<struct tensor_spec> specs = {
	{"model.norm.weight", DTYPE_F32, 1, {5}, nullptr},
	{"lm_head.weight", DTYPE_BF16, 2, {7, 3}, nullptr},
	{"scalar", DTYPE_F32, 0, {}, nullptr},
	{"empty", DTYPE_BF16, 2, {0, 9}, nullptr},
	{"\"quoted\" \u00e9", DTYPE_F32, 3, {1, 2, 2}, nullptr},
};

struct Writer : testing::Test {
	Temporary dir;
	struct err err = {};
	Source source;

	int save(const std::vector<struct tensor_spec> &list, const std::string &name = "out.safetensors")
	{
		return safetensors_save((dir / name).c_str(), list.data(), list.size(), Source::rows, &source, &err);
	}
	int save_shards(uint64_t bytes)
	{
		return safetensors_save_shards(dir.path.c_str(), specs.data(), specs.size(), bytes, Source::rows,
					       &source, &err);
	}
	static void expect_values(const struct tensor_info &t)
	{
		struct err err = {};
		std::vector<float> out((size_t)tensor_elements(&t));
		ASSERT_EQ(tensor_read_f32(&t, 0, tensor_rows(&t), out.data(), &err), 0) << err.message;
		for (size_t i = 0; i < out.size(); i++)
			ASSERT_EQ(out[i], (float)i) << t.name;
	}
};

TEST_F(Writer, WhatIsWrittenIsRead)
{
	ASSERT_EQ(save(specs), 0) << err.message;
	Open open(dir / "out.safetensors");
	ASSERT_NE(open.file, nullptr) << open.err.message;
	EXPECT_EQ(safetensors_count(open.file), specs.size());
	EXPECT_STREQ(safetensors_metadata(open.file, "format"), "pt");
	for (const struct tensor_spec &spec : specs) {
		struct tensor_info t = open.info(spec.name);
		EXPECT_EQ(t.dtype, spec.dtype);
		EXPECT_EQ(t.rank, spec.rank);
		EXPECT_EQ(memcmp(t.shape, spec.shape, sizeof t.shape), 0);
		expect_values(t);
	}
	EXPECT_EQ(source.calls, std::vector<std::string>({"\"quoted\" \u00e9 0 1", "lm_head.weight 0 7",
							  "model.norm.weight 0 5", "scalar 0 1"}));
}

/* A buffer beside the weights: its bytes go from file to file, and it is no weight. */
TEST_F(Writer, TypesOfNoWeightKeepTheirBytes)
{
	ASSERT_EQ(save({{"ids", DTYPE_F32, 2, {2, 3}, "I32"}, {"w", DTYPE_F32, 1, {2}, nullptr}}), 0) << err.message;
	Open open(dir / "out.safetensors");
	ASSERT_NE(open.file, nullptr) << open.err.message;
	struct tensor_info t = open.info("ids");
	EXPECT_STREQ(t.type, "I32");
	EXPECT_FALSE(t.weight);
	float out[3];
	ASSERT_EQ(tensor_read_bytes(&t, 1, 1, out, &err), 0) << err.message;
	EXPECT_EQ(out[0], 3);
	EXPECT_EQ(out[2], 5);
	EXPECT_EQ(tensor_read(&t, 1, 1, out, &err), -1);
	EXPECT_EQ(tensor_read_bytes(&t, 2, 1, out, &err), -1);
}

TEST_F(Writer, BytesAreFixed)
{
	std::vector<struct tensor_spec> two = {{"b", DTYPE_F32, 1, {2}, nullptr}, {"a", DTYPE_BF16, 0, {}, nullptr}};
	ASSERT_EQ(save(two), 0) << err.message;
	std::string header =
		"{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
		"\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[2,10]}}";
	header.resize((header.size() + 7) / 8 * 8, ' ');
	EXPECT_EQ(read_file(dir / "out.safetensors"), file_of(header, "\0\0"s + bytes_of(std::vector<float>{0, 1})));
	std::swap(two[0], two[1]);
	ASSERT_EQ(save(two, "again"), 0) << err.message;
	EXPECT_EQ(read_file(dir / "again"), read_file(dir / "out.safetensors"));
}

TEST_F(Writer, LargeTensorsComeInPieces)
{
	std::vector<struct tensor_spec> large = {{"long", DTYPE_F32, 2, {1000, 700}, nullptr},
						 {"wide", DTYPE_F32, 2, {2, 300000}, nullptr}};
	ASSERT_EQ(save(large), 0) << err.message;
	ASSERT_GT(source.calls.size(), 4u);
	EXPECT_EQ(source.calls[0], "long 0 374") << "as many rows of 2800 bytes as 1 MiB holds";
	EXPECT_EQ(source.calls[1], "long 374 374");
	EXPECT_EQ(source.calls.back(), "wide 1 1");
	Open open(dir / "out.safetensors");
	expect_values(open.info("long"));
	expect_values(open.info("wide"));
}

TEST_F(Writer, WhatTheReaderRefusesIsNotWritten)
{
	const std::vector<std::pair<std::vector<struct tensor_spec>, const char *>> cases = {
		{{}, "0 tensors"},
		{{{"a", DTYPE_F32, 1, {1}, nullptr}, {"a", DTYPE_BF16, 1, {1}, nullptr}}, "used twice"},
		{{{"__metadata__", DTYPE_F32, 1, {1}, nullptr}}, "reserved"},
		{{{"", DTYPE_F32, 1, {1}, nullptr}}, "name of 0 bytes"},
		{{{"a\n", DTYPE_F32, 1, {1}, nullptr}}, "control character"},
		{{{"\xFF", DTYPE_F32, 1, {1}, nullptr}}, "not UTF-8"},
		{{{"a", DTYPE_I32, 1, {1}, nullptr}}, "no weight"},
		{{{"a", DTYPE_F32, 1, {1}, "I31"}}, "no weight"},
		{{{"a", DTYPE_F32, 2, {2, 1}, "F4"}}, "end inside a byte"},
		{{{"a", DTYPE_F32, 9, {1}, nullptr}}, "9 dimensions"},
		{{{"a", DTYPE_F32, -1, {1}, nullptr}}, "-1 dimensions"},
		{{{"a", DTYPE_F32, 1, {-1}, nullptr}}, "does not fit"},
		{{{"a", DTYPE_F32, 2, {INT64_MAX, INT64_MAX}, nullptr}}, "does not fit"},
	};
	for (const auto &c : cases) {
		EXPECT_EQ(save(c.first), -1) << c.second;
		EXPECT_EQ(err.code, ERR_DATA) << c.second;
		EXPECT_NE(strstr(err.message, c.second), nullptr) << c.second << ": " << err.message;
		EXPECT_NE(access((dir / "out.safetensors").c_str(), F_OK), 0);
	}
}

TEST_F(Writer, AFailureLeavesTheOldFile)
{
	ASSERT_EQ(save(specs), 0) << err.message;
	std::string before = read_file(dir / "out.safetensors");
	source.fail_at = "scalar";
	EXPECT_EQ(save(specs), -1);
	EXPECT_STREQ(err.message, "tensor 'scalar': the source failed");
	EXPECT_EQ(err.code, ERR_IO);
	EXPECT_EQ(read_file(dir / "out.safetensors"), before);
	EXPECT_EQ(dir.files(), std::vector<std::string>({"out.safetensors"}));
	EXPECT_EQ(save(specs, "absent/out"), -1);
	EXPECT_EQ(err.code, ERR_CANTCREATE);
}

TEST_F(Writer, ShardsHaveTheirLimitAndAnIndex)
{
	/* sizes in the order of names: quoted 16, empty 0, lm_head 42, norm 20, scalar 4 */
	ASSERT_EQ(save_shards(24), 0) << err.message;
	EXPECT_EQ(dir.files(),
		  std::vector<std::string>({"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
					    "model-00003-of-00003.safetensors", "model.safetensors.index.json"}));
	struct shards *shards = shards_open(dir.path.c_str(), &err);
	ASSERT_NE(shards, nullptr) << err.message;
	EXPECT_STREQ(shards_notes(shards), "");
	EXPECT_EQ(shards_count(shards), specs.size());
	for (const struct tensor_spec &spec : specs) {
		struct tensor_info t;
		EXPECT_EQ(shards_expect(shards, spec.name, spec.rank, spec.shape, &t, &err), 0) << err.message;
		expect_values(t);
	}
	struct tensor_info large;
	ASSERT_TRUE(shards_find(shards, "lm_head.weight", &large));
	EXPECT_EQ(safetensors_count(large.file), 1u) << "a tensor over the limit is alone";
	shards_close(shards);
}

TEST_F(Writer, WhatFitsOneFileNeedsNoIndex)
{
	ASSERT_EQ(save_shards(82), 0) << err.message;
	EXPECT_EQ(dir.files(), std::vector<std::string>({"model.safetensors"}));
	ASSERT_EQ(unlink((dir / "model.safetensors").c_str()), 0);
	ASSERT_EQ(save_shards(81), 0) << err.message;
	EXPECT_EQ(dir.files().size(), 3u);
}

} // namespace
