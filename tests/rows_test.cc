// SPDX-License-Identifier: Apache-2.0
/* JSON Lines as rows.h reads them: what is accepted, what is refused and how it is named, ids and their order. */
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/dataset/rows.h"
#include "tests/temporary.h"

namespace {

/* A file's rows, or its refusal. */
struct Loaded {
	Temporary dir;
	std::string path = dir / "rows.jsonl";
	struct rows rows = {};
	struct err err = {};
	int rc = 0;

	explicit Loaded(const std::string &bytes)
	{
		write_file(path, bytes);
		rc = rows_load(&rows, path.c_str(), &err);
	}
	Loaded(const Loaded &) = delete;
	~Loaded()
	{
		rows_release(&rows);
	}
	/* The message after "PATH". */
	std::string message() const
	{
		std::string text = err.message;
		return text.rfind(path, 0) == 0 ? text.substr(path.size()) : "no file: " + text;
	}
	std::string text(size_t i, const char *key = "text") const
	{
		const char *out = nullptr;
		size_t n = 0;
		struct err ignored = {};
		if (json_get_string(json_in(json_root(rows.row[i].doc), key), &out, &n, &ignored))
			return std::string("no text: ") + ignored.message;
		return std::string(out, n);
	}
	std::vector<size_t> lines() const
	{
		std::vector<size_t> all;
		for (size_t i = 0; i < rows.n; i++)
			all.push_back(rows.row[i].line);
		return all;
	}
};

/* "7" or "'seven'" */
std::string shown(const struct ifd_id &id)
{
	return id.is_number ? std::to_string(id.number) : "'" + std::string(id.text) + "'";
}

std::string line_of(size_t bytes)
{
	const std::string head = "{\"text\":\"", tail = "\"}";
	return head + std::string(bytes - head.size() - tail.size(), 'x') + tail;
}

using Lines = std::vector<size_t>;

/* ---- accepted ---------------------------------------------------------------------- */

TEST(RowsRead, LinesInFileOrder)
{
	Loaded f("{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"c\"}\n");
	ASSERT_EQ(f.rc, 0) << f.err.message;
	ASSERT_EQ(f.rows.n, 3u);
	EXPECT_EQ(f.text(0) + f.text(1) + f.text(2), "abc");
	EXPECT_EQ(f.lines(), (Lines{1, 2, 3}));
	EXPECT_STREQ(f.rows.path, f.path.c_str());
}

TEST(RowsRead, NoLastNewline)
{
	Loaded f("{\"text\":\"a\"}\n{\"text\":\"b\"}");
	ASSERT_EQ(f.rc, 0) << f.err.message;
	ASSERT_EQ(f.rows.n, 2u);
	EXPECT_EQ(f.text(1), "b");
}

TEST(RowsRead, CarriageReturnBeforeNewline)
{
	Loaded f("{\"text\":\"a\"}\r\n\r\n{\"text\":\"b\\r\"}\r\n{\"text\":\"c\"}\r");
	ASSERT_EQ(f.rc, 0) << f.err.message;
	ASSERT_EQ(f.rows.n, 3u);
	EXPECT_EQ(f.text(0) + f.text(1) + f.text(2), "ab\rc");
	EXPECT_EQ(f.lines(), (Lines{1, 3, 4}));
}

TEST(RowsRead, ByteOrderMarkAtTheBeginning)
{
	Loaded f("\xef\xbb\xbf{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
	ASSERT_EQ(f.rc, 0) << f.err.message;
	ASSERT_EQ(f.rows.n, 2u);
	EXPECT_EQ(f.text(0), "a");
	EXPECT_EQ(f.lines(), (Lines{1, 2}));
}

TEST(RowsRead, EmptyAndBlankLinesAreCountedButNoRows)
{
	Loaded f("\n{\"text\":\"a\"}\n\n \t \n{\"text\":\"b\"}\n\n");
	ASSERT_EQ(f.rc, 0) << f.err.message;
	EXPECT_EQ(f.lines(), (Lines{2, 5}));
}

TEST(RowsRead, FilesWithoutRows)
{
	for (const char *text : {"", "\n", "\n\n\r\n", "\xef\xbb\xbf", "\xef\xbb\xbf\n", "   "}) {
		Loaded f(text);
		EXPECT_EQ(f.rc, 0) << f.err.message;
		EXPECT_EQ(f.rows.n, 0u);
	}
}

TEST(RowsRead, BlanksAroundAnObject)
{
	Loaded f("  {\"text\":\"a\"}\t \r\n");
	ASSERT_EQ(f.rc, 0) << f.err.message;
	EXPECT_EQ(f.text(0), "a");
}

TEST(RowsRead, TextOfEveryKindOfByte)
{
	Loaded f("{\"text\":\"\xc5\xbd \xf0\x9f\x98\x80 \\u0000\\ud83d\\ude00 \xe2\x80\xa8\"}\n");
	ASSERT_EQ(f.rc, 0) << f.err.message;
	EXPECT_EQ(f.text(0), std::string("\xc5\xbd \xf0\x9f\x98\x80 \0\xf0\x9f\x98\x80 \xe2\x80\xa8", 17));
}

TEST(RowsRead, TheLongestLine)
{
	Loaded f("{\"text\":\"a\"}\n" + line_of(16 << 20) + "\n{\"text\":\"c\"}");
	ASSERT_EQ(f.rc, 0) << f.err.message;
	ASSERT_EQ(f.rows.n, 3u);
	EXPECT_EQ(f.text(1).size(), (16u << 20) - 11);
}

TEST(RowsRead, ThroughALink)
{
	Temporary dir;
	write_file(dir / "real", "{\"text\":\"a\"}\n");
	ASSERT_EQ(symlink("real", (dir / "link").c_str()), 0);
	struct rows rows = {};
	struct err err = {};
	EXPECT_EQ(rows_load(&rows, (dir / "link").c_str(), &err), 0) << err.message;
	EXPECT_EQ(rows.n, 1u);
	rows_release(&rows);
	EXPECT_EQ(rows.n, 0u);
	EXPECT_EQ(rows.row, nullptr);
}

/* ---- refused ------------------------------------------------------------------------- */

struct Refusal {
	const char *name;
	std::string bytes;
	const char *message; /* how it begins, after the path */
};

class RowsRefuse : public testing::TestWithParam<Refusal> {};

TEST_P(RowsRefuse, NamesFileLineAndRule)
{
	Loaded f(GetParam().bytes);
	EXPECT_EQ(f.rc, -1);
	EXPECT_EQ(f.err.code, ERR_DATA);
	EXPECT_EQ(f.message().rfind(GetParam().message, 0), 0u) << "got '" << f.message() << "'";
	EXPECT_GT(f.message().size(), strlen(":1: "));
	EXPECT_EQ(f.rows.n, 0u);
	EXPECT_EQ(f.rows.row, nullptr);
}

const std::string good = "{\"text\":\"a\"}\n";

INSTANTIATE_TEST_SUITE_P(
	Lines, RowsRefuse,
	testing::Values(
		Refusal{"LineOf17MiB", good + line_of(17 << 20) + "\n", ":2: "},
		Refusal{"LineOfOneByteTooMany", line_of((16 << 20) + 1), ":1: "},
		Refusal{"NulBetweenMembers", good + std::string("{\"text\":\0\"b\"}\n", 14), ":2: byte 8"},
		Refusal{"NulInAString", good + good + std::string("{\"text\":\"b\0\"}\n", 14), ":3: byte 10"},
		Refusal{"NulAlone", good + std::string("\0\n", 2), ":2: byte 0"},
		Refusal{"BadUtf8", good + "\n{\"text\":\"b\xff\"}\n", ":3: byte 10"},
		Refusal{"OverlongUtf8", "{\"text\":\"\xc0\xaf\"}\n", ":1: byte 9"},
		Refusal{"Surrogate", "{\"text\":\"\xed\xa0\x80\"}\n", ":1: byte 9"},
		Refusal{"LoneSurrogateEscape", "{\"text\":\"\\ud800\"}\n", ":1: byte 9"},
		Refusal{"SecondByteOrderMark", good + "\xef\xbb\xbf" + good, ":2: byte 0"},
		Refusal{"Array", good + "[1]\n", ":2: "}, Refusal{"Number", "7\n", ":1: "},
		Refusal{"Null", good + good + "null", ":3: "}, Refusal{"Text", "\"a\"\n", ":1: "},
		Refusal{"CutObject", good + "{\"text\":\"b\"\n}\n", ":2: byte "},
		Refusal{"TwoObjects", good + "{\"text\":1}{\"text\":2}\n", ":2: byte 10"},
		Refusal{"CommaBehind", "{\"text\":1},\n", ":1: byte 10"},
		Refusal{"Comment", "// rows\n" + good, ":1: byte 0"},
		Refusal{"NotANumber", "{\"x\":NaN}\n", ":1: byte 5"},
		Refusal{"DuplicateKey", good + "{\"text\":1,\"text\":2}\n", ":2: "},
		Refusal{"CarriageReturnInside", good + "{\"text\":\"a\rb\"}\n", ":2: byte 10"},
		Refusal{"DepthOf33", std::string(33, '[') + std::string(33, ']'), ":1: byte "}),
	[](const testing::TestParamInfo<Refusal> &info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
	Ids, RowsRefuse,
	testing::Values(Refusal{"Fraction", good + "{\"id\":1.5}\n", ":2: 'id'"},
			Refusal{"Exponent", "{\"id\":1e3}\n", ":1: 'id'"}, Refusal{"Bool", "{\"id\":true}\n", ":1: 'id'"},
			Refusal{"List", "{\"id\":[1]}\n", ":1: 'id'"}, Refusal{"Object", "{\"id\":{}}\n", ":1: 'id'"},
			Refusal{"MoreThanInt64", "{\"id\":9223372036854775808}\n", ":1: 'id'"},
			Refusal{"NulInside", "{\"id\":\"a\\u0000b\"}\n", ":1: 'id'"}),
	[](const testing::TestParamInfo<Refusal> &info) { return info.param.name; });

TEST(RowsRefused, EqualIdsNameBothLines)
{
	const struct {
		const char *bytes, *lines;
	} cases[] = {
		{"{\"id\":7}\n{\"id\":8}\n{\"id\":7}\n", "1 and 3"},
		{"\n{\"id\":\"a\"}\n{\"id\":\"b\"}\n\n{\"id\":\"a\"}\n", "2 and 5"},
		{"{}\n{\"id\":1}\n", "1 and 2"}, /* a row without id has its line's number */
		{"{\"id\":3}\n{}\n{\"id\":null}\n", "1 and 3"},
		{"{\"id\":-0}\n{\"id\":0}\n", "1 and 2"},
	};
	for (const auto &c : cases) {
		Loaded f(c.bytes);
		EXPECT_EQ(f.rc, -1) << c.bytes;
		EXPECT_EQ(f.err.code, ERR_DATA);
		EXPECT_EQ(f.message().rfind(":", 0), 0u) << f.err.message;
		EXPECT_NE(f.message().find(c.lines), std::string::npos) << f.err.message;
		EXPECT_EQ(f.rows.row, nullptr);
	}
}

void refuses(const std::string &path, int code, const char *says)
{
	struct rows rows = {};
	struct err err = {};
	EXPECT_EQ(rows_load(&rows, path.c_str(), &err), -1) << path;
	EXPECT_EQ(err.code, code) << err.message;
	EXPECT_NE(std::string(err.message).find("'" + path + "'"), std::string::npos) << err.message;
	EXPECT_NE(std::string(err.message).find(says), std::string::npos) << err.message;
	EXPECT_EQ(rows.row, nullptr);
}

TEST(RowsRefused, WhatIsNoRegularFile)
{
	Temporary dir;
	refuses(dir / "nothing", ERR_NOINPUT, "No such file");
	refuses(dir.path, ERR_NOINPUT, "directory");
	refuses("/dev/null", ERR_NOINPUT, "device");
	ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
	refuses(dir / "pipe", ERR_NOINPUT, "pipe"); /* and does not wait for a writer */
	ASSERT_EQ(symlink("nowhere", (dir / "link").c_str()), 0);
	refuses(dir / "link", ERR_NOINPUT, "No such file");
	ASSERT_EQ(symlink(".", (dir / "folder").c_str()), 0);
	refuses(dir / "folder", ERR_NOINPUT, "directory");
	refuses(dir / "nothing/rows.jsonl", ERR_NOINPUT, "No such file");
	refuses("", ERR_NOINPUT, "No such file");
}

TEST(RowsRefused, ASocket)
{
	Temporary dir;
	struct sockaddr_un address = {};
	std::string path = dir / "socket";
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	address.sun_family = AF_UNIX;
	ASSERT_LT(path.size(), sizeof address.sun_path);
	strcpy(address.sun_path, path.c_str());
	ASSERT_EQ(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	refuses(path, ERR_NOINPUT, "cannot open");
	close(fd);
}

TEST(RowsRefused, AFileWithoutPermission)
{
	Temporary dir;
	write_file(dir / "rows.jsonl", good);
	ASSERT_EQ(chmod((dir / "rows.jsonl").c_str(), 0), 0);
	if (!access((dir / "rows.jsonl").c_str(), R_OK))
		GTEST_SKIP() << "this user may read everything";
	refuses(dir / "rows.jsonl", ERR_NOPERM, "ermission");
}

TEST(RowsRefused, RowRefuseNamesTheLine)
{
	Loaded f("\n" + good + "\n" + good);
	ASSERT_EQ(f.rc, 0) << f.err.message;
	err_set(&f.err, ERR_CONFIG, "'text' is dull");
	EXPECT_EQ(row_refuse(&f.rows, 1, &f.err), -1);
	EXPECT_EQ(f.err.code, ERR_CONFIG);
	EXPECT_EQ(f.message(), ":4: 'text' is dull");
}

/* ---- ids ------------------------------------------------------------------------------- */

TEST(RowsIds, NumberStringOrLine)
{
	Loaded f("{\"id\":12}\n{\"id\":\"12\"}\n\n{}\n{\"id\":null}\n{\"id\":-9223372036854775808}\n"
		 "{\"id\":9223372036854775807}\n{\"id\":\"\"}\n{\"id\":\"\xc5\xbd\"}\n");
	ASSERT_EQ(f.rc, 0) << f.err.message;
	std::string all;
	for (size_t i = 0; i < f.rows.n; i++)
		all += shown(f.rows.row[i].id) + " ";
	EXPECT_EQ(all, "12 '12' 4 5 -9223372036854775808 9223372036854775807 '' '\xc5\xbd' ");
}

/* Numbers by value and before strings, strings by bytes; a longer string behind its own beginning. */
TEST(RowsIds, Order)
{
	Loaded f("{\"id\":\"b\"}\n{\"id\":10}\n{\"id\":\"\xc5\xbd\"}\n{\"id\":9}\n{\"id\":\"10\"}\n{\"id\":-1}\n{\"id\":\"ba\"}\n"
		 "{\"id\":\"B\"}\n{\"id\":\"9\"}\n{\"id\":\"\"}\n");
	ASSERT_EQ(f.rc, 0) << f.err.message;
	std::vector<const struct ifd_id *> ids;
	for (size_t i = 0; i < f.rows.n; i++)
		ids.push_back(&f.rows.row[i].id);
	std::sort(ids.begin(), ids.end(), [](auto a, auto b) { return ifd_id_compare(a, b) < 0; });
	std::string all;
	for (auto id : ids)
		all += shown(*id) + " ";
	EXPECT_EQ(all, "-1 9 10 '' '10' '9' 'B' 'b' 'ba' '\xc5\xbd' ");
}

/* The key of a row's random numbers follows from its id alone. */
TEST(RowsIds, KeyOfTheIdWhereverItStands)
{
	Loaded a("{\"id\":5}\n{\"id\":\"x\"}\n{\"id\":\"5\"}\n{\"id\":\"y\"}\n"), b("{\"id\":\"y\"}\n\n{\"id\":\"x\",\"z\":1}\n{\"id\":5}\n");
	ASSERT_EQ(a.rc, 0);
	ASSERT_EQ(b.rc, 0);
	auto key = [](const Loaded &f, size_t i) { return row_key_of(&f.rows.row[i].id); };
	EXPECT_EQ(key(a, 0), 5u);
	EXPECT_EQ(key(a, 0), key(b, 2));
	EXPECT_EQ(key(a, 1), key(b, 1));
	EXPECT_EQ(key(a, 3), key(b, 0));
	EXPECT_NE(key(a, 1), key(a, 3));
	EXPECT_NE(key(a, 2), key(a, 0));
}

/* ---- written again ------------------------------------------------------------------------ */

TEST(RowsWrite, IdAndOtherMembersAsTheyStand)
{
	Loaded f("{\"b\":1.50,\"id\":\"x\",\"text\":\"t\",\"a\":{\"id\":2,\"text\":null},\"n\":123456789012345678}\n{\"text\":\"\"}\n");
	ASSERT_EQ(f.rc, 0) << f.err.message;
	const char *const without[] = {"text", nullptr}, *const expected[] = {
		"{\"id\":\"x\",\"b\":1.50,\"a\":{\"id\":2,\"text\":null},\"n\":123456789012345678}", "{\"id\":2}"};
	for (size_t i = 0; i < 2; i++) {
		struct json_writer w;
		struct err err = {};
		json_writer_init(&w, 0);
		json_begin_object(&w);
		row_put_id(&w, &f.rows.row[i].id);
		row_put_others(&w, &f.rows.row[i], without, &err);
		json_end_object(&w);
		EXPECT_STREQ(json_writer_text(&w, nullptr, &err), expected[i]) << err.message;
		json_writer_release(&w);
	}
}

} // namespace
