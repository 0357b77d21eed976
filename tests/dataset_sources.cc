// SPDX-License-Identifier: Apache-2.0
// Public collections in their own layouts: Reuters-21578, MATH, and the datasets of multiple choice and abstractive
// question answering, on small files written by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "src/dataset/collection.h"
#include "src/dataset/math_set.h"
#include "src/dataset/reuters.h"
#include "tests/temporary.h"

namespace
{

struct Sets {
	examples pool, test;
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
		rc = reuters_load(&pool, &test, set, directory.c_str(), &err);
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
	EXPECT_EQ(1u, r.pool.l);
}

TEST(Reuters, EveryPairOfTopicsThatBothSidesHave)
{
	Folder folder(corpus);
	Reuters r(folder.dir.path, REUTERS_R90);
	ASSERT_EQ(0, r.rc) << r.err.message;
	EXPECT_EQ("1/earn earn | 2/earn earn | 2/tin tin | 3/gas gas | 10/tin tin | 10/tin/2 tin | 11/earn earn | ",
		  Sets::rows(r.pool));
	EXPECT_EQ("5/earn earn | 6/tin tin | 9/gas gas | 9/earn earn | ", Sets::rows(r.test));
	EXPECT_EQ(3u, r.pool.l);
	EXPECT_EQ(7u, r.pool.n);
	EXPECT_EQ(4u, r.test.n);
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
	EXPECT_EQ("reut2-000.sgm:2: a topic of document 1 has no name or no end", failure(document(1, "TRAIN", {"<D>earn"})));
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

/* ---- multiple choice and abstractive question answering ---- */

struct Collection : Sets {
	Collection(const std::string &directory, answer_type type, const char *named = nullptr)
	{
		rc = collection_load(&pool, &test, type, directory.c_str(), named, &err);
	}
	/* "INPUT | CHOICE / CHOICE | LABEL", line ends as $ */
	static std::string shown(const example &row)
	{
		std::string text = std::string(row.input) + " | ";
		for (size_t i = 0; i < row.n_choices; i++)
			text += (i ? " / " : "") + std::string(row.choices[i]);
		text += std::string(" | ") + row.label;
		std::replace(text.begin(), text.end(), '\n', '$');
		return text;
	}
};

/* Each layout once: a row as the dataset has it, what becomes of it, one that is wrong, and what is said about that. */
const struct Layout {
	answer_type type;
	const char *name, *good, *becomes, *wrong, *says;
} layouts[] = {
	{ANSWER_CHOICE, "race",
	 R"({"example_id": "high1.txt", "article": "Tom has a cat. ", "question": "What?", "options": ["a dog", "a cat ", "a cow", "a pig"], "answer": "B"})",
	 "Tom has a cat.$$What? | a dog / a cat / a cow / a pig | a cat",
	 R"({"article": "x", "question": "q", "options": ["a", "b"], "answer": "C"})",
	 "the answer 'C' is not the letter of one of the 2 choices (layout race)"},
	{ANSWER_CHOICE, "mctest",
	 R"({"idx": {"story": "mc160.train.0"}, "story": "S.", "question": "Q?", "answer_options": {"A": "a", "B": "b", "C": "c", "D": "d"}, "answer": "D", "question_is_multiple": false})",
	 "S.$$Q? | a / b / c / d | d",
	 R"({"story": "S", "question": "Q", "answer_options": {"A": "a", "B": "b", "C": "c"}, "answer": "A"})",
	 "'answer_options.D'"},
	{ANSWER_CHOICE, "winogrande",
	 R"({"qID": "3", "sentence": "Ann met Jo, so _ smiled.", "option1": "Ann", "option2": "Jo", "answer": "2"})",
	 "Ann met Jo, so _ smiled. | Ann / Jo | Jo",
	 R"({"sentence": "s _", "option1": "a", "option2": "b", "answer": ""})",
	 "the answer '' is not the number, from 1, of one of the 2 choices (layout winogrande)"},
	{ANSWER_CHOICE, "siqa",
	 R"({"context": "C.", "question": "Q?", "answerA": "a", "answerB": "b", "answerC": "c", "label": "3"})",
	 "C.$$Q? | a / b / c | c",
	 R"({"context": "C", "question": "Q", "answerA": "a", "answerB": "b", "answerC": "c", "label": "0"})",
	 "the answer '0' is not the number, from 1, of one of the 3 choices (layout siqa)"},
	{ANSWER_CHOICE, "siqa-dims",
	 R"({"context": "C.", "question": "Q?", "answerA": "a", "answerB": "b", "answerC": "c", "label_letter": "B", "label_ix": 1})",
	 "C.$$Q? | a / b / c | b",
	 R"({"context": "C", "question": "Q", "answerA": "a", "answerB": "b", "answerC": "c", "label_letter": "b"})",
	 "the answer 'b' is not the letter"},
	{ANSWER_CHOICE, "siqa-site",
	 R"({"context": "C.", "question": "Q?", "answerA": "a", "answerB": "b", "answerC": "c", "correct": "A"})",
	 "C.$$Q? | a / b / c | a",
	 R"({"context": "C", "question": "Q", "answerA": "a", "answerB": "b", "answerC": "c"})", "'correct'"},
	{ANSWER_CHOICE, "cosmosqa",
	 R"({"id": "3Q", "context": "C.", "question": "Q?", "answer0": "a", "answer1": "b", "answer2": "c", "answer3": "d", "label": 3})",
	 "C.$$Q? | a / b / c / d | d",
	 R"({"context": "C", "question": "Q", "answer0": "a", "answer1": "b", "answer2": " ", "answer3": "d", "label": 1})",
	 "the choice is empty"},
	{ANSWER_CHOICE, "reclor",
	 R"({"context": "C.", "question": "Q?", "answers": ["a", "b", "c", "d"], "label": 2, "id_string": "t_0"})",
	 "C.$$Q? | a / b / c / d | c", R"({"context": "C", "question": "Q", "answers": ["a"], "label": 0})",
	 "a question needs two choices at least"},
	{ANSWER_CHOICE, "piqa", R"({"goal": "Open a jar", "sol1": "twist", "sol2": "shout", "label": 0})",
	 "Open a jar | twist / shout | twist", R"({"goal": "g", "sol1": "a", "sol2": "b", "label": -1})",
	 "the answer '-1' is not the number, from 0, of one of the 2 choices (layout piqa)"},
	{ANSWER_CHOICE, "ai2-site",
	 R"({"id": "7-1", "question": {"stem": "Q?", "choices": [{"label": "A", "text": "a"}, {"label": "C", "text": "c"}]}, "answerKey": "C"})",
	 "Q? | a / c | c",
	 R"({"question": {"stem": "Q", "choices": [{"label": "A", "text": "a"}, {"label": "C", "text": "c"}]}, "answerKey": "B"})",
	 "the answer 'B' is not the label of one of the 2 choices (layout ai2-site)"},
	{ANSWER_CHOICE, "obqa",
	 R"({"id": "7-980", "question_stem": "The sun", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"})",
	 "The sun | x / y | y",
	 R"({"question_stem": "", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"})",
	 "the question is empty"},
	{ANSWER_CHOICE, "ai2",
	 R"({"id": "NYS_1", "question": "Q?", "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "answerKey": "3"})",
	 "Q? | x / y / z | z",
	 R"({"question": "Q", "choices": {"text": ["x", "y", "z"], "label": ["1", "2"]}, "answerKey": "3"})",
	 "'choices.label[2]'"},
	{ANSWER_CHOICE, "hellaswag",
	 R"({"ind": 4, "activity_label": "Removing ice", "ctx_a": "A.", "ctx_b": "then", "ctx": "A. then", "endings": ["a", "b", "c", "d"], "label": "3"})",
	 "A. then | a / b / c / d | d", R"({"ctx": "A", "endings": "abcd", "label": "3"})", "'endings'"},
	{ANSWER_CHOICE, "mmlu",
	 R"({"question": "1 + 1?", "subject": "elementary_mathematics", "choices": ["1", "2", "3", "4"], "answer": 1})",
	 "1 + 1? | 1 / 2 / 3 / 4 | 2", R"({"question": "Q", "choices": ["1", "2", "3", "4"], "answer": 4})",
	 "the answer '4' is not the number, from 0, of one of the 4 choices (layout mmlu)"},
	{ANSWER_QA, "narrativeqa",
	 R"({"document": {"id": "d", "summary": {"text": "Joe left home.", "tokens": ["Joe"]}, "text": "ACT ONE"}, "question": {"text": "Who left?", "tokens": []}, "answers": [{"text": " Joe", "tokens": []}, {"text": "Joe B."}]})",
	 "Joe left home.$$Who left? |  | Joe",
	 R"({"document": {"summary": {"text": "s"}}, "question": {"text": "q"}, "answers": []})",
	 "the row has no answer"},
	{ANSWER_QA, "drop",
	 R"({"section_id": "nfl_1", "query_id": "u", "passage": "P.", "question": "Q?", "answers_spans": {"spans": ["3", "three"], "types": ["number", "span"]}})",
	 "P.$$Q? |  | 3", R"({"passage": "P", "question": "Q", "answers_spans": {"spans": [7], "types": []}})",
	 "'answers_spans.spans[0]'"},
	{ANSWER_QA, "drop-site",
	 R"({"passage": "P.", "question": "Q?", "answer": {"number": "", "date": {"day": "", "month": "", "year": ""}, "spans": ["Ann", "Jo"]}})",
	 "P.$$Q? |  | Ann, Jo",
	 R"({"passage": "P", "question": "Q", "answer": {"number": "", "date": {"day": "", "month": "", "year": ""}, "spans": []}})",
	 "neither number nor date nor spans"},
	{ANSWER_QA, "tweetqa", R"({"Question": "who?", "Answer": ["sam bee", "bee"], "Tweet": "Sam Bee is tall.", "qid": "3"})",
	 "Sam Bee is tall.$$who? |  | sam bee", R"({"Question": "who?", "Answer": [], "Tweet": "T", "qid": "4"})",
	 "test sets without answers cannot be used"},
	{ANSWER_QA, "squad",
	 R"({"id": "5", "title": "T", "context": "C.", "question": "Q?", "answers": {"text": ["a", "b"], "answer_start": [0, 1]}})",
	 "C.$$Q? |  | a", R"({"context": "C", "question": "Q", "answers": {"text": "a"}})", "'answers.text'"},
	{ANSWER_QA, "qaconv", R"({"id": "trn-0", "context": "A: hi", "question": "Q?", "answers": ["hi"], "QG": false})",
	 "A: hi$$Q? |  | hi", R"({"context": "C", "question": "Q", "answers": [" "]})", "the answer is empty"},
	{ANSWER_QA, "nqopen", R"({"question": "where is it", "answer": ["Paris", "France"]})", "where is it |  | Paris",
	 R"({"question": null, "answer": ["Paris"]})", "'question'"},
};

TEST(CollectionLayouts, AreAllRead)
{
	for (const Layout &layout : layouts) {
		Temporary dir;
		std::filesystem::create_directories(dir / "train");
		write_file(dir / "train/Some.jsonl", std::string(layout.good) + "\n");
		Collection c(dir.path, layout.type);
		ASSERT_EQ(0, c.rc) << layout.name << ": " << c.err.message;
		ASSERT_EQ(1u, c.pool.n);
		EXPECT_EQ(layout.becomes, Collection::shown(c.pool.row[0])) << layout.name;
		EXPECT_STREQ("Some", c.pool.domain[0].name);
		EXPECT_STREQ("train/Some/1", c.pool.row[0].id.text);
		EXPECT_EQ(0u, c.test.n);
	}
}

TEST(CollectionLayouts, RefuseAWrongRowByItsLine)
{
	for (const Layout &layout : layouts) {
		Temporary dir;
		std::filesystem::create_directories(dir / "train");
		write_file(dir / "train/Some.jsonl", std::string(layout.good) + "\n" + layout.wrong + "\n");
		Collection c(dir.path, layout.type);
		EXPECT_EQ(-1, c.rc) << layout.name;
		EXPECT_EQ(ERR_DATA, c.err.code) << layout.name;
		EXPECT_EQ(0u, std::string(c.err.message).find(dir / "train/Some.jsonl" + ":2: ")) << c.err.message;
		EXPECT_NE(nullptr, strstr(c.err.message, layout.says)) << layout.name << ": " << c.err.message;
	}
}

/* The refusal lists what was looked for; the table above leaves none of it out. */
TEST(CollectionLayouts, AnUnknownOneIsToldAllThatWereLookedFor)
{
	for (answer_type type : {ANSWER_CHOICE, ANSWER_QA}) {
		Temporary dir;
		std::filesystem::create_directories(dir / "train");
		write_file(dir / "train/x.jsonl", "\n{\"text\": \"a\", \"label\": \"b\"}\n");
		Collection c(dir.path, type);
		std::string said = c.err.message;
		EXPECT_EQ(0u, said.find(dir / "train/x.jsonl" + ":2: no known layout; looked for all fields of one of: "))
			<< said;
		size_t listed = 1 + size_t(std::count(said.begin() + long(said.find("one of")), said.end(), ';')), known = 0;
		for (const Layout &layout : layouts)
			if (layout.type == type) {
				EXPECT_NE(std::string::npos, said.find(" " + std::string(layout.name) + " ")) << said;
				known++;
			}
		EXPECT_EQ(known, listed);
		EXPECT_NE("...", said.substr(said.size() - 3)) << "not cut";
	}
}

TEST(CollectionLayouts, OfTheOtherTypeAreNotTaken)
{
	for (const Layout &layout : layouts) {
		Temporary dir;
		std::filesystem::create_directories(dir / "train");
		write_file(dir / "train/x.jsonl", layout.good);
		Collection c(dir.path, layout.type == ANSWER_QA ? ANSWER_CHOICE : ANSWER_QA);
		EXPECT_EQ(std::string("reclor") == layout.name ? 0 : -1, c.rc) << layout.name; /* a context, answers too */
	}
}

TEST(CollectionLayouts, OfDropWithNumberAndDate)
{
	const struct {
		std::string answer, label;
	} cases[] = {
		{R"({"number": "12", "date": {"day": "", "month": "", "year": ""}, "spans": []})", "12"},
		{R"({"number": 12, "spans": []})", "12"},
		{R"({"number": "", "date": {"day": "4", "month": "July", "year": "1776"}, "spans": []})", "4 July 1776"},
		{R"({"number": "", "date": {"month": "July", "year": "1776"}, "spans": []})", "July 1776"},
	};
	for (const auto &c : cases) {
		Temporary dir;
		std::filesystem::create_directories(dir / "train");
		write_file(dir / "train/Drop.jsonl", R"({"passage": "P", "question": "Q", "answer": )" + c.answer + "}\n");
		Collection drop(dir.path, ANSWER_QA);
		ASSERT_EQ(0, drop.rc) << drop.err.message;
		EXPECT_EQ(c.label, drop.pool.row[0].label);
	}
}

const std::string one_choice = R"({"goal": "g", "sol1": "a", "sol2": "b", "label": 0})" "\n";

/* Two files of one domain, a test set for one of them, and a file of another kind beside them. */
struct CollectionFolder {
	Temporary dir;

	CollectionFolder()
	{
		for (const char *folder : {"train/deep", "test"})
			std::filesystem::create_directories(dir / folder);
		write_file(dir / "train/high.jsonl", one_choice + one_choice);
		write_file(dir / "train/deep/middle.jsonl", one_choice);
		write_file(dir / "train/notes.txt", "nothing");
		write_file(dir / "train/.hidden.jsonl", "nothing");
		write_file(dir / "test/high.jsonl", one_choice);
	}
};

TEST(CollectionFiles, AreFoundOrNamed)
{
	CollectionFolder folder;
	Collection found(folder.dir.path, ANSWER_CHOICE);
	ASSERT_EQ(0, found.rc) << found.err.message;
	EXPECT_EQ(2u, found.pool.n);
	EXPECT_STREQ("high", found.pool.domain[0].name);
	EXPECT_STREQ("test/high/1", found.test.row[0].id.text);
	Collection named(folder.dir.path, ANSWER_CHOICE, "Race=high.jsonl,Race=deep/middle.jsonl");
	ASSERT_EQ(0, named.rc) << named.err.message;
	ASSERT_EQ(3u, named.pool.n);
	EXPECT_EQ(1u, named.pool.l);
	EXPECT_STREQ("Race", named.pool.domain[0].name);
	EXPECT_STREQ("train/deep/middle/1", named.pool.row[2].id.text);
	EXPECT_EQ(1u, named.test.n) << "the test side has one of the two files";
}

TEST(CollectionFiles, ThatAreNotThereAreRefused)
{
	CollectionFolder folder;
	Collection missing(folder.dir.path, ANSWER_CHOICE, "Race=low.jsonl");
	EXPECT_EQ(ERR_NOINPUT, missing.err.code) << missing.err.message;
	for (const char *list : {"Race", "=high.jsonl", "Race="}) {
		Collection bad(folder.dir.path, ANSWER_CHOICE, list);
		EXPECT_EQ(ERR_CONFIG, bad.err.code) << list << ": " << bad.err.message;
	}
	Temporary empty;
	EXPECT_EQ(ERR_NOINPUT, Collection(empty.path, ANSWER_CHOICE).err.code);
	std::filesystem::create_directories(empty / "train");
	EXPECT_EQ(ERR_DATA, Collection(empty.path, ANSWER_CHOICE).err.code);
	write_file(empty / "train/a.jsonl", "\n");
	EXPECT_EQ(empty / "train/a.jsonl" + ": no row", Collection(empty.path, ANSWER_CHOICE).err.message);
}

} // namespace
