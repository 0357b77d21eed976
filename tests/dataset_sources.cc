// SPDX-License-Identifier: Apache-2.0
// Public collections in their own layouts: Reuters-21578 and MATH, on small files written by hand.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "src/dataset/math_set.h"
#include "src/dataset/reuters.h"
#include "tests/temporary.h"

namespace
{

struct Sets {
	examples pool, test;
	reuters_counts counts;
	struct err err = {};
	int rc = -1;

	Sets()
	{
		examples_init(&pool);
		examples_init(&test);
	}
	~Sets()
	{
		examples_release(&pool);
		examples_release(&test);
	}
	/* "ID label | ..." in order */
	static std::string rows(const examples &set)
	{
		std::string text;
		for (size_t i = 0; i < set.n; i++) {
			const example &row = set.row[i];
			text += (row.id.is_number ? std::to_string(row.id.number) : row.id.text) + std::string(" ") +
				row.label + " | ";
			EXPECT_STREQ(row.label, set.domain[row.domain].name);
		}
		return text;
	}
};

struct Reuters : Sets {
	Reuters(const std::string &directory, reuters_set set)
	{
		rc = reuters_load(&pool, &test, &counts, set, directory.c_str(), &err);
	}
};

std::string topics(const std::vector<std::string> &names)
{
	std::string text = "<TOPICS>";
	for (const auto &name : names)
		text += "<D>" + name + "</D>";
	return text + "</TOPICS>";
}

std::string document(int id, const std::string &split, const std::vector<std::string> &names,
		     const std::string &text = "<TEXT>&#2;\n<TITLE>T</TITLE>\n<BODY>B\n&#3;</BODY></TEXT>",
		     const std::string &marked = "YES")
{
	return "<REUTERS TOPICS=\"" + marked + "\" LEWISSPLIT=\"" + split + "\" CGISPLIT=\"X\" OLDID=\"1\" NEWID=\"" +
	       std::to_string(id) + "\">\n<DATE>26-FEB-1987</DATE>\n" + topics(names) +
	       "\n<PLACES><D>usa</D></PLACES>\n" + text + "\n</REUTERS>\n";
}

/* 22 files, the documents in the first, one that counts for nothing in each of the others. */
struct Folder {
	Temporary dir;

	explicit Folder(const std::string &documents)
	{
		const std::string head = "<!DOCTYPE lewis SYSTEM \"lewis.dtd\">\n";
		for (int i = 0; i < REUTERS_FILES; i++) {
			char name[32];
			snprintf(name, sizeof name, "reut2-%03d.sgm", i);
			write_file(dir / name, head + (i ? document(900 + i, "NOT-USED", {"zinc"}) : documents));
		}
	}
};

const std::string corpus = document(1, "TRAIN", {"earn"}) + document(2, "TRAIN", {"earn", "tin"}) +
			   document(3, "TRAIN", {"gas"}) + document(4, "TRAIN", {}) + document(5, "TEST", {"earn"}) +
			   document(6, "TEST", {"tin"}) + document(7, "TEST", {"cpi"}) +
			   document(8, "TRAIN", {"tin"}, "<TEXT>x</TEXT>", "NO") +
			   document(9, "TEST", {"gas", "earn"}) + document(10, "TRAIN", {"tin", "tin"}) +
			   document(11, "TRAIN", {"earn", "cocoa"}) + document(12, "NOT-USED", {"cpi"});

TEST(Reuters, SingleTopicsThatBothSidesHave)
{
	Folder folder(corpus);
	Reuters r(folder.dir.path, REUTERS_R52);
	ASSERT_EQ(0, r.rc) << r.err.message;
	EXPECT_EQ("1 earn | ", Sets::rows(r.pool))
		<< "tin has no single-topic training document, gas no such test document";
	EXPECT_EQ("5 earn | ", Sets::rows(r.test));
	EXPECT_EQ(12u + 21, r.counts.documents);
	EXPECT_EQ(1u, r.counts.topics);
}

TEST(Reuters, EveryPairOfTopicsThatBothSidesHave)
{
	Folder folder(corpus);
	Reuters r(folder.dir.path, REUTERS_R90);
	ASSERT_EQ(0, r.rc) << r.err.message;
	EXPECT_EQ("1/earn earn | 2/earn earn | 2/tin tin | 3/gas gas | 10/tin tin | 10/tin/2 tin | 11/earn earn | ",
		  Sets::rows(r.pool));
	EXPECT_EQ("5/earn earn | 6/tin tin | 9/gas gas | 9/earn earn | ", Sets::rows(r.test));
	EXPECT_EQ(3u, r.counts.topics);
	EXPECT_EQ(5u, r.counts.pool_documents);
	EXPECT_EQ(7u, r.counts.pool_rows);
	EXPECT_EQ(3u, r.counts.test_documents);
	EXPECT_EQ(4u, r.counts.test_rows);
}

TEST(Reuters, MakesOneLineOfText)
{
	const struct {
		std::string text, expected;
	} cases[] = {
		{"<TEXT>&#2;\n<TITLE>ACME &lt;AC>\n  NET</TITLE>\n<DATELINE> NY, Feb 26 - </DATELINE><BODY>Net  "
		 "rose.\n    It\n"
		 "fell.\n Reuter\n&#3;</BODY></TEXT>",
		 "ACME &lt;AC> NET. Net rose. It fell."},
		{"<TEXT>\n<TITLE>T</TITLE><BODY>reuter said REUTER\n&#3;</BODY></TEXT>", "T. reuter said"},
		{"<TEXT>\n<TITLE>T</TITLE><BODY>all&#127;of it\n&#3;</BODY></TEXT>", "T. all&#127;of it"},
		{"<TEXT TYPE=\"BRIEF\">&#2;\n******<TITLE>ONLY A\n TITLE</TITLE>Blah blah blah.\n&#3;</TEXT>",
		 "ONLY A TITLE"},
		{"<TEXT TYPE=\"UNPROC\">&#2;\nRAW &#31;\n TEXT Reuter\n&#3;</TEXT>", "RAW TEXT Reuter"},
		{"<TEXT>\n<TITLE>T</TITLE><BODY>gr\xfc\xdf\n&#3;</BODY></TEXT>", "T. grüß"},
		{"<TEXT>\n<TITLE>T</TITLE><BODY>Reuter</BODY></TEXT>", "T"},
	};
	for (const auto &c : cases) {
		Folder folder(document(1, "TRAIN", {"earn"}, c.text) + document(2, "TEST", {"earn"}));
		Reuters r(folder.dir.path, REUTERS_R52);
		ASSERT_EQ(0, r.rc) << r.err.message;
		ASSERT_EQ(1u, r.pool.n);
		EXPECT_EQ(c.expected, r.pool.row[0].input);
	}
}

std::string failure(const std::string &documents)
{
	Folder folder(documents);
	Reuters r(folder.dir.path, REUTERS_R52);
	EXPECT_EQ(-1, r.rc);
	EXPECT_EQ(ERR_DATA, r.err.code);
	return std::string(r.err.message).substr(folder.dir.path.size() + 1);
}

TEST(Reuters, RefusesBrokenFilesByLine)
{
	std::string good = document(1, "TRAIN", {"earn"});
	std::string cut = good.substr(0, good.size() - 12);
	EXPECT_EQ("reut2-000.sgm:11: a document without its end '</REUTERS>'", failure(good + cut));
	EXPECT_EQ("reut2-000.sgm:2: a document without its end '</REUTERS>'", failure(cut + good));
	EXPECT_EQ("reut2-000.sgm:2: document 1 lacks a whole <TOPICS> or <TEXT>",
		  failure(document(1, "TRAIN", {"earn"}, "<TEXT>x")));
	EXPECT_EQ("reut2-000.sgm:2: a document without a number NEWID", failure(document(0, "TRAIN", {"earn"})));
	EXPECT_EQ("reut2-000.sgm:2: a topic of document 1 has no name or no end", failure(document(1, "TRAIN", {""})));
	EXPECT_EQ("reut2-000.sgm: no document '<REUTERS ...>'; give the folder of the original files",
		  failure("text\n"));
	Folder folder(corpus);
	std::filesystem::remove(folder.dir / "reut2-021.sgm");
	Reuters r(folder.dir.path, REUTERS_R52);
	EXPECT_EQ(ERR_NOINPUT, r.err.code);
	EXPECT_NE(nullptr, strstr(r.err.message, "reut2-021.sgm")) << r.err.message;
}

TEST(Reuters, StandsFilesCutAnywhere)
{
	for (size_t n = 0; n < corpus.size(); n += 7) {
		Folder folder(corpus.substr(0, n));
		Reuters r(folder.dir.path, REUTERS_R90);
		EXPECT_TRUE(!r.rc || r.err.code == ERR_DATA) << r.err.message;
	}
}

/* ---- MATH ---- */

std::string problem(const std::string &text, const std::string &type, const std::string &solution)
{
	return "{\"problem\": \"" + text + "\", \"level\": \"Level 1\", \"type\": \"" + type + "\", \"solution\": \"" +
	       solution + "\"}";
}

struct Math : Sets {
	explicit Math(const std::string &directory)
	{
		rc = math_set_load(&pool, &test, directory.c_str(), &err);
	}
};

TEST(MathSet, ReadsOneProblemAFile)
{
	Temporary dir;
	for (const char *folder : {"train/algebra", "train/geometry", "test/algebra"})
		std::filesystem::create_directories(dir / folder);
	write_file(dir / "train/algebra/10.json", problem("ten?", "Algebra", "So $\\\\boxed{10}$."));
	write_file(dir / "train/algebra/2.json",
		   problem("two?", "Algebra", "\\\\boxed{1} then \\\\boxed{\\\\frac{4}{2}}"));
	write_file(dir / "train/geometry/1.json", problem("one?", "Geometry", "$\\\\boxed 1$ unit"));
	write_file(dir / "train/algebra/notes.txt", "no problem");
	write_file(dir / "test/algebra/3.json", problem("three?", "Algebra", "\\\\fbox{3}"));
	Math m(dir.path);
	ASSERT_EQ(0, m.rc) << m.err.message;
	ASSERT_EQ(3u, m.pool.n);
	EXPECT_STREQ("train/algebra/2", m.pool.row[0].id.text);
	EXPECT_STREQ("\\frac{4}{2}", m.pool.row[0].label);
	EXPECT_STREQ("train/algebra/10", m.pool.row[1].id.text);
	EXPECT_STREQ("10", m.pool.row[1].label);
	EXPECT_STREQ("1", m.pool.row[2].label);
	EXPECT_STREQ("Geometry", m.pool.domain[m.pool.row[2].domain].name);
	ASSERT_EQ(1u, m.test.n);
	EXPECT_STREQ("three?", m.test.row[0].input);
	EXPECT_STREQ("3", m.test.row[0].label);
}

TEST(MathSet, ReadsOneProblemALine)
{
	Temporary dir;
	write_file(dir / "train.jsonl", problem("one?", "Algebra", "\\\\boxed{1}") + "\n");
	write_file(dir / "test.jsonl",
		   problem("two?", "Algebra", "\\\\boxed{2}") + "\n" + problem("x?", "Algebra", "none") + "\n");
	Math m(dir.path);
	EXPECT_EQ(-1, m.rc);
	EXPECT_EQ(dir.path + "/test.jsonl:2: the solution has no answer in \\boxed{...}", m.err.message);
	write_file(dir / "test.jsonl", problem("two?", "Algebra", "\\\\boxed{2}") + "\n");
	Math good(dir.path);
	ASSERT_EQ(0, good.rc) << good.err.message;
	EXPECT_EQ(1, good.test.row[0].id.number);
	EXPECT_STREQ("2", good.test.row[0].label);
}

TEST(MathSet, RefusesWhatIsNoSuchFolder)
{
	Temporary dir;
	EXPECT_EQ(ERR_NOINPUT, Math(dir.path).err.code);
	std::filesystem::create_directories(dir / "train/algebra");
	EXPECT_EQ(ERR_DATA, Math(dir.path).err.code) << "no problem in it";
	write_file(dir / "train/algebra/1.json", "{\"problem\": 1}");
	Math m(dir.path);
	EXPECT_EQ(ERR_DATA, m.err.code);
	EXPECT_EQ(0u, std::string(m.err.message).find(dir.path + "/train/algebra/1.json: ")) << m.err.message;
}

} // namespace
