// SPDX-License-Identifier: Apache-2.0
/*
 * report_test - report.html of made-up runs (report_run.h): what it holds, that
 * nothing from outside becomes markup, and what it does with damaged files; and
 * compare.html of a comparison made up by hand.
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "src/pipeline/compare.h"
#include "src/pipeline/report.h"
extern "C" {
#include "src/pipeline/report_parts.h"
}
#include "tests/report_run.h"

namespace
{

const char version[] = "program 1.2.3";

size_t count(const std::string &text, const std::string &what)
{
	size_t n = 0;
	for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size()))
		n++;
	return n;
}

bool has(const std::string &text, const std::string &what)
{
	return text.find(what) != std::string::npos;
}

std::string report_of(const std::string &directory)
{
	err error = {};
	EXPECT_EQ(0, report_write(directory.c_str(), nullptr, version, &error)) << error.message;
	return read_file(directory + "/report.html");
}

std::string report_of(ReportRun &run)
{
	Temporary dir;
	run.write(dir.path);
	return report_of(dir.path);
}

/* Every element that is opened is closed in its order, attributes are quoted, no bare '<' or '&'. */
void expect_well_formed(const std::string &page)
{
	static const std::regex attribute("( [a-zA-Z0-9-]+(=\"[^\"<]*\")?)*");
	std::vector<std::string> open;
	size_t end = page.find('>') + 1;
	for (size_t at = page.find('<', end); at != std::string::npos; at = page.find('<', end)) {
		end = page.find('>', at);
		ASSERT_NE(std::string::npos, end);
		std::string tag = page.substr(at + 1, end - at - 1);
		std::string name = tag.substr(0, tag.find_first_of(" /", 1));
		if (tag[0] == '/') {
			ASSERT_FALSE(open.empty()) << tag;
			ASSERT_EQ("/" + open.back(), tag) << page.substr(at > 80 ? at - 80 : 0, 160);
			open.pop_back();
			continue;
		}
		bool closed = tag.back() == '/';
		std::string rest = tag.substr(name.size(), tag.size() - name.size() - closed);
		ASSERT_TRUE(std::regex_match(rest, attribute)) << tag;
		if (!closed && name != "meta")
			open.push_back(name);
	}
	EXPECT_TRUE(open.empty()) << open.back();
	EXPECT_FALSE(std::regex_search(page, std::regex("&(?!(amp|lt|gt|quot|#39|ndash);)")));
}

/* ---------------------------------------------------------------- what it holds */

TEST(Report, IsOnePageWithoutScriptOrRemoteParts)
{
	ReportRun run;
	std::string page = report_of(run);
	EXPECT_EQ(0u, page.find("<!DOCTYPE html>"));
	EXPECT_TRUE(has(page, "content=\"default-src 'none'; style-src 'unsafe-inline'\""));
	for (const char *never :
	     {"<script", "<link", "<img", "<iframe", "javascript:", "http:", "https:", "url(", "@import"})
		EXPECT_FALSE(has(page, never)) << never;
	expect_well_formed(page);
}

TEST(Report, HoldsEveryFigure)
{
	ReportRun run;
	std::string page = report_of(run);
	EXPECT_EQ(3u, count(page, "<svg "));
	EXPECT_EQ(3u, count(page, "</svg>"));
	EXPECT_EQ(52u, count(page, "in the pool,")) << "a dot for each domain";
	EXPECT_EQ(13u + 5u, count(page, "<circle class=\"head\"")) << "13 domains and the points of macro";
	EXPECT_EQ(39u, count(page, "<circle class=\"tail\""));
	for (int k = 0; k < 5; k++)
		EXPECT_TRUE(has(page, ">stage " + std::to_string(k) + ": "));
	EXPECT_TRUE(has(page, ">stage 0: 520 real, 0 synthetic</text>"));
	EXPECT_TRUE(has(page, "cut: 226, 127</text>"));
	EXPECT_TRUE(has(page, "<title>platinum: 0 real, 8 synthetic</title><rect class=\"real\""));
	EXPECT_EQ(5u, count(page, "<rect class=\"tail\"")) << "the points of micro";
	EXPECT_EQ(10u, count(page, "class=\"whisker\""));
}

/* A figure of the last stage as the fixture wrote it, plus `more`, to one decimal. */
std::string per_cent(const ReportRun &run, const std::string &key, double more)
{
	char out[32];
	std::string text = run.metrics(4), quoted = "\"" + key + "\":";
	snprintf(out, sizeof out, "%.1f", 100 * (std::stod(text.substr(text.find(quoted) + quoted.size())) + more));
	return out;
}

TEST(Report, TellsScoresWithIntervals)
{
	ReportRun run;
	std::string page = report_of(run);
	EXPECT_EQ(4u, count(page, "<div class=\"card\">"));
	EXPECT_TRUE(has(page, "Macro<b>" + per_cent(run, "macro", 0) + "</b><span>" + per_cent(run, "macro", -0.041) +
				      " to " + per_cent(run, "macro", 0.041) + "</span>"));
	EXPECT_TRUE(has(page, "Tail, macro<b>" + per_cent(run, "tail_macro", 0) + "</b>"));
	EXPECT_TRUE(has(page, "on 2595 examples; 12 had no answer"));
	EXPECT_FALSE(has(page, "not finished"));
}

TEST(Report, TellsSpendAndDrops)
{
	ReportRun run;
	std::string page = report_of(run);
	EXPECT_TRUE(has(page, "<td>used</td><td>2598</td>"));
	EXPECT_TRUE(has(page, "<td>unusable</td><td>7</td>"));
	EXPECT_TRUE(has(page, "<td>in doubt</td><td>2</td>"));
	EXPECT_TRUE(has(page, "<td>released, not billed</td><td>31</td>"));
	EXPECT_TRUE(has(page, "<td>cost, spent and reserved, by the plan's prices</td><td>12.35</td>"));
	EXPECT_FALSE(has(page, "in flight")) << "nothing is";
	EXPECT_TRUE(has(page, "<td>wrong_answer</td><td>5</td><td>5</td><td>5</td><td>5</td><td>5</td><td>25</td>"));
	EXPECT_TRUE(has(page, "<td>copy</td><td>0</td><td>1</td><td>1</td><td>1</td><td>1</td><td>4</td>"));
	EXPECT_TRUE(has(page, "<td>rows trained on</td><td>510</td><td>1020</td>"));
	EXPECT_TRUE(has(
		page, "<td>crude</td><td>253</td><td>20</td><td>18</td><td>16</td><td>14</td><td>12</td><td>15</td>"));
	EXPECT_TRUE(has(page,
			"<td>nat-gas</td><td>24</td><td>2</td><td>4</td><td>5</td><td>7</td><td>6 + 2</td><td>0</td>"));
}

/* What a crash interrupts at a teacher that bills nobody is released: that may differ between runs of one result. */
TEST(Report, OfATeacherWithoutBillsDoesNotCountReleases)
{
	for (const char *teacher : {"recorded", "local"}) {
		ReportRun run;
		run.teacher = teacher;
		std::string page = report_of(run);
		EXPECT_TRUE(has(page, "<td>answered</td>"));
		EXPECT_FALSE(has(page, "released")) << teacher;
	}
}

TEST(Report, ShowsSyntheticRowsWithTheirDemonstrations)
{
	ReportRun run;
	std::string page = report_of(run);
	EXPECT_TRUE(has(page, "3 of 21 synthetic training rows"));
	EXPECT_EQ(3u, count(page, "<section class=\"row\">"));
	for (const char *shown : {"platinum <small>synthetic/4/platinum/0<", "instal-debt <small>", "orange <small>"})
		EXPECT_TRUE(has(page, shown)) << shown << ": the first, the middle and the last are shown";
	EXPECT_EQ(3u, count(page, "<summary>3 demonstrations</summary>"));
	EXPECT_TRUE(has(page, "<h4>5101</h4>\n<p class=\"what\">input</p>"));
	EXPECT_EQ(3u, count(page, "An example of the pool that is no training row."));
}

TEST(Report, ShowsSettingsAsWrittenAndVersions)
{
	ReportRun run;
	std::string page = report_of(run);
	EXPECT_TRUE(has(page, "<pre tabindex=\"0\">task:\n  type: classification\n"));
	EXPECT_TRUE(has(page, "base_url: &quot;${TEACHER_URL}&quot;")) << "a variable is not looked up";
	EXPECT_TRUE(has(page, "program 1.2.3, json-c "));
	EXPECT_TRUE(has(page, "Method <b>baldistill-adaptive</b>, budget 2600, 5 stages, 52 domains."));
}

struct Box {
	double x0, y0, x1, y1;
};

bool overlap(const Box &a, const Box &b)
{
	return a.x0 < b.x1 - 0.2 && b.x0 < a.x1 - 0.2 && a.y0 < b.y1 - 0.2 && b.y0 < a.y1 - 0.2;
}

/* The drawing of scores: labels as boxes 6.4 units wide a letter, dots as squares inside their circles' own. */
struct Drawing {
	std::vector<Box> label, dot;

	explicit Drawing(const std::string &page)
	{
		std::string svg = page.substr(page.find("<svg"), page.find("</svg>") - page.find("<svg"));
		std::regex text(
			"<text class=\"name\" x=\"([0-9.]+)\" y=\"([0-9.]+)\" text-anchor=\"([a-z]+)\">([^<]*)<");
		std::regex circle("cx=\"([0-9.]+)\" cy=\"([0-9.]+)\"");
		for (std::sregex_iterator i(svg.begin(), svg.end(), text), end; i != end; ++i) {
			double w = 6.4 * static_cast<double>((*i)[4].length()), x = std::stod((*i)[1]),
			       y = std::stod((*i)[2]);
			double left = (*i)[3] == "start" ? 0 : (*i)[3] == "end" ? w : w / 2;
			label.push_back({x - left, y - 9, x - left + w, y + 2});
		}
		for (std::sregex_iterator i(svg.begin(), svg.end(), circle), end; i != end; ++i) {
			double x = std::stod((*i)[1]), y = std::stod((*i)[2]);
			dot.push_back({x - 3, y - 3, x + 3, y + 3});
		}
	}
	void expect_free() const
	{
		for (size_t i = 0; i < label.size(); i++) {
			EXPECT_TRUE(label[i].x0 >= 0 && label[i].x1 <= 400);
			for (size_t j = 0; j < i; j++)
				EXPECT_FALSE(overlap(label[i], label[j])) << i << " " << j;
			for (const Box &one : dot)
				EXPECT_FALSE(overlap(label[i], one)) << i;
		}
	}
};

TEST(Report, LabelsOfDomainsDoNotCollide)
{
	ReportRun run;
	std::string page = report_of(run);
	Drawing drawing(page);
	ASSERT_EQ(52u, drawing.dot.size());
	EXPECT_GE(drawing.label.size(), 10u);
	EXPECT_TRUE(has(page, ">earn</text>") && has(page, ">platinum</text>"));
	drawing.expect_free();
}

TEST(Report, LabelsInACrowdAreLeftOut)
{
	ReportRun run;
	run.name.resize(12);
	run.pool = {100, 98, 96, 94, 92, 90, 88, 86, 84, 82, 80, 78};
	run.scores = {.5, .53, .5, .53, .5, .53, .5, .53, .5, .53, .5, .53};
	for (size_t d = 0; d < run.name.size(); d++)
		run.name[d] = "a-longer-name-" + std::to_string(d);
	run.budget = 240;
	Drawing drawing(report_of(run));
	ASSERT_EQ(12u, drawing.dot.size());
	EXPECT_GE(drawing.label.size(), 4u);
	drawing.expect_free();
}

/* Domains of two rows and score 0: three dots at one place. */
TEST(Report, DotsDoNotHideEachOther)
{
	ReportRun run;
	Drawing drawing(report_of(run));
	for (size_t i = 0; i < drawing.dot.size(); i++)
		for (size_t j = 0; j < i; j++) {
			double dx = drawing.dot[i].x0 - drawing.dot[j].x0, dy = drawing.dot[i].y0 - drawing.dot[j].y0;
			EXPECT_GT(dx * dx + dy * dy, 4.5 * 4.5) << i << " " << j;
		}
}

/* ---------------------------------------------------------------- hostile texts */

TEST(Report, EscapesWhateverComesFromOutside)
{
	const std::string evil = "</title></text><script>alert(1)</script>\"'&amp;\xe2\x80\xae<b onload=x>";
	ReportRun run;
	run.name[0] = evil;         /* in titles and at the axis */
	run.name[2] = evil + "2";   /* with drops */
	run.name[51] = evil + "51"; /* synthetic, labelled */
	run.story = evil + "\x1b[31m\x01";
	Temporary dir;
	run.write(dir.path);
	write_file(dir / "plan.yaml", run.plan() + "# </pre><script>" + evil + "\n");
	std::string step = read_file(dir / "status.json");
	write_file(dir / "status.json", std::regex_replace(step, std::regex("done"), "<script>x</script>"));
	std::string rows = read_file(dir / "stage-4/collected.json");
	write_file(dir / "stage-4/collected.json",
		   std::regex_replace(rows, std::regex("wrong_answer"), "<script>wrong</script>"));
	std::string page = report_of(dir.path);
	expect_well_formed(page);
	EXPECT_FALSE(has(page, "<script")) << "not even once";
	EXPECT_FALSE(has(page, "<b onload"));
	EXPECT_FALSE(has(page, "\xe2\x80\xae")) << "bidirectional control";
	EXPECT_FALSE(has(page, "\x1b"));
	EXPECT_FALSE(has(page, "\x01"));
	EXPECT_TRUE(has(page, "step &lt;script&gt;x&lt;/script&gt;."));
	EXPECT_TRUE(has(page, "&lt;script&gt;wrong&lt;/script&gt;"));
	EXPECT_TRUE(has(page, "\\xE2\\x80\\xAE&lt;b onload=x&gt;") || has(page, "\\xe2\\x80\\xae&lt;b onload=x&gt;"));
}

TEST(Report, CutsLongTexts)
{
	ReportRun run;
	run.story = std::string(100000, 'x');
	std::string page = report_of(run);
	EXPECT_LT(page.size(), 150000u);
	EXPECT_TRUE(has(page, "xxx...</div>"));
}

TEST(Report, ShowsWhatIsRepeated)
{
	ReportRun run;
	Temporary dir;
	run.write(dir.path);
	std::string allocation = run.allocation(0);
	size_t at = allocation.find("\"domain\":\"platinum\"");
	allocation.replace(allocation.find("\"repeated\":0", at), 12, "\"repeated\":7");
	write_file(dir / run.stage(0) + "/allocation.json", allocation);
	std::string page = report_of(dir.path);
	EXPECT_TRUE(has(page, ">stage 0: 520 real, 0 synthetic, 7 repeated</text>"));
	EXPECT_TRUE(has(page, ", 7 repeated</title>"));
	EXPECT_EQ(1u, count(page, "<rect class=\"again\""));
	EXPECT_TRUE(has(page, " + 7</td>"));
	EXPECT_TRUE(has(page, "Shown again."));
	EXPECT_FALSE(has(report_of(run), "Shown again."));
	expect_well_formed(page);
}

/* evaluation.bootstrap: 0 */
TEST(Report, PromisesNoIntervalsWhereThereAreNone)
{
	ReportRun run;
	Temporary dir;
	run.write(dir.path);
	const std::regex interval("(\"(macro|micro|head_macro|tail_macro)\"):\\[[^\\]]*\\]");
	for (const std::string &file : {dir / "metrics.json", dir / run.stage(0) + "/metrics.json"})
		write_file(file, std::regex_replace(read_file(file), interval, "$1:null"));
	std::string page = report_of(dir.path);
	EXPECT_FALSE(has(page, "95 %"));
	EXPECT_TRUE(has(page, "<p>Per cent, on "));
	EXPECT_TRUE(has(report_of(run), "<p>Per cent, with 95 % intervals, on "));
}

/* Of domains that are all of one size the axis has a number, too, and no score's axis goes beyond 100. */
TEST(Report, AxesHaveNumbersWithinTheirBounds)
{
	ReportRun run;
	for (auto &pool : run.pool)
		pool = 100;
	std::string page = report_of(run);
	size_t begin = page.find("Scores over the domains"), end = page.find("</figure>", begin);
	EXPECT_TRUE(has(page.substr(begin, end - begin), ">3</text>")) << "per cent of the pool: 1.9 each";
	for (double low : {0.0, 3.0, 57.3, 99.2, 100.0})
		for (double width : {0.0, 0.5, 7.0, 16.0, 43.0})
			for (int least : {1, 5}) {
				double high = std::min(100.0, low + width);
				struct report_axis axis = report_axis(low, high, least);
				EXPECT_LE(axis.low, low);
				EXPECT_GE(axis.high, high);
				EXPECT_LT(axis.low, axis.high);
				EXPECT_GE(axis.low, 0);
				EXPECT_LE(axis.high, 100);
				EXPECT_EQ((axis.high - axis.low) % axis.step, 0);
			}
	EXPECT_EQ(report_axis(100, 0, 5).high, 100) << "no scores at all";
}

/* ---------------------------------------------------------------- unfinished runs */

TEST(Report, OfAnUnfinishedRunShowsWhatThereIs)
{
	ReportRun run;
	run.begun = 3, run.trained = 2, run.finished = false;
	std::string page = report_of(run);
	expect_well_formed(page);
	EXPECT_TRUE(has(page, "This run is not finished: it stands in stage 2, step annotate."));
	EXPECT_TRUE(has(page, "3 stages so far"));
	EXPECT_TRUE(has(page, "after the last stage evaluated so far"));
	EXPECT_TRUE(has(page, ">stage 2: 484 real, 36 synthetic</text>"));
	EXPECT_FALSE(has(page, ">stage 3: "));
	EXPECT_TRUE(has(page, "<td>rows trained on</td><td>510</td><td>1020</td><td>&ndash;</td>"));
	EXPECT_FALSE(has(page, "Synthetic examples")) << "stage 1 has none";
}

TEST(Report, OfAPlanAloneIsAReport)
{
	Temporary dir;
	ReportRun run;
	write_file(dir / "plan.yaml", run.plan());
	std::string page = report_of(dir.path);
	expect_well_formed(page);
	EXPECT_TRUE(has(page, "This run is not finished."));
	EXPECT_TRUE(has(page, "No scores: nothing has been evaluated."));
	EXPECT_FALSE(has(page, "<svg"));
	EXPECT_TRUE(has(page, "model: gpt-4"));
}

TEST(Report, OfARunThatAsksForNothingHasNoAllocation)
{
	ReportRun run;
	Temporary dir;
	run.write(dir.path);
	for (size_t k = 0; k < run.stages; k++)
		write_file(
			dir / run.stage(k) + "/allocation.json",
			std::regex_replace(run.allocation(k), std::regex("\"(real|synthetic)\":[0-9]+"), "\"$1\":0"));
	std::string page = report_of(dir.path);
	expect_well_formed(page);
	EXPECT_FALSE(has(page, "Where the budget went"));
	EXPECT_EQ(2u, count(page, "<svg "));
}

TEST(Report, OfOddPlansIsAReport)
{
	for (const char *plan :
	     {"method: {}\n", "teacher: 7\n", "method: [a]\nteacher: {kind: [x]}\n", "budget: 3\n"}) {
		Temporary dir;
		write_file(dir / "plan.yaml", plan);
		std::string page = report_of(dir.path);
		expect_well_formed(page);
		EXPECT_FALSE(has(page, "Method <b>")) << plan;
	}
	for (const char *plan : {"", "[]\n", "a\n"}) {
		Temporary dir;
		err error = {};
		write_file(dir / "plan.yaml", plan);
		EXPECT_EQ(-1, report_write(dir.path.c_str(), nullptr, version, &error)) << plan;
		EXPECT_EQ(ERR_DATA, error.code) << error.message;
	}
}

TEST(Report, EmptyGroupsAreDashes)
{
	Temporary dir;
	ReportRun run;
	run.write(dir.path);
	std::string text = run.metrics(4);
	text = std::regex_replace(text, std::regex("\"tail_macro\":[0-9.]+"), "\"tail_macro\":null");
	text = std::regex_replace(text, std::regex("\"tail_macro\":\\[[^\\]]*\\]"), "\"tail_macro\":null");
	text = std::regex_replace(text, std::regex("\"score\":0.8[0-9]*"), "\"score\":null");
	write_file(dir / "metrics.json", text);
	std::string page = report_of(dir.path);
	EXPECT_TRUE(has(page, "Tail, macro<b>&ndash;</b><span></span>"));
	EXPECT_LT(count(page, "in the pool,"), 52u);
	expect_well_formed(page);
}

/* ---------------------------------------------------------------- damage */

std::string failure(const std::string &directory, int code)
{
	err error = {};
	EXPECT_EQ(-1, report_write(directory.c_str(), nullptr, version, &error));
	EXPECT_EQ(code, error.code) << error.message;
	EXPECT_FALSE(std::filesystem::exists(directory + "/report.html"));
	return error.message;
}

TEST(Report, ADamagedFileIsNamed)
{
	ReportRun run;
	for (const char *name : {"plan.yaml", "status.json", "metrics.json", "stage-0/allocation.json",
				 "stage-3/collected.json", "stage-2/metrics.json", "stage-4/train.jsonl"}) {
		Temporary dir;
		run.write(dir.path);
		std::string text = read_file(dir / name);
		write_file(dir / name, name[0] == 'p' ? text + "broken: [" : text.substr(0, text.size() / 2));
		std::string message = failure(dir.path, ERR_DATA);
		EXPECT_TRUE(has(message, dir / name)) << name << ": " << message;
	}
}

TEST(Report, NonsenseIsRefused)
{
	static const struct {
		const char *file, *pattern, *with, *says;
	} cases[] = {
		{"stage-1/allocation.json", "\"pool\":2840", "\"pool\":-1", "pool"},
		{"stage-1/allocation.json", "\"real\":183", "\"real\":99999999999999", "real"},
		{"stage-1/allocation.json", "\"domains\"", "\"domain\"", "domains"},
		{"stage-1/collected.json", "\"wrong_answer\":3", "\"wrong_answer\":\"3\"", "wrong_answer"},
		{"stage-1/collected.json", "\"dropped\":\\{\\}", "\"dropped\":7", "dropped"},
		{"metrics.json", "\"macro\":[0-9.]+", "\"macro\":1.5", "between 0 and 1"},
		{"metrics.json", "\"micro\":\\[", "\"micro\":[\"x\",", "micro"},
		{"status.json", "\"used\":2598", "\"used\":2.5", "used"},
		{"status.json", "\"step\":\"done\"", "\"step\":7", "step"},
		{"stage-4/train.jsonl", "\"origin\":\"synthetic\"", "\"origin\":null", "origin"},
		{"stage-4/train.jsonl", "\"demonstrations\":\\[", "\"demonstrations\":[1.5,", "demonstrations"},
	};
	ReportRun run;
	for (const auto &one : cases) {
		Temporary dir;
		run.write(dir.path);
		std::string text = read_file(dir / one.file);
		std::string changed = std::regex_replace(text, std::regex(one.pattern), one.with,
							 std::regex_constants::format_first_only);
		ASSERT_NE(text, changed) << one.pattern;
		write_file(dir / one.file, changed);
		std::string message = failure(dir.path, ERR_DATA);
		EXPECT_TRUE(has(message, dir / one.file)) << message;
		EXPECT_TRUE(has(message, one.says)) << message;
	}
}

TEST(Report, ARowIsNamedByItsLine)
{
	ReportRun run;
	Temporary dir;
	run.write(dir.path);
	std::string text = read_file(dir / "stage-4/train.jsonl");
	size_t second = text.find('\n') + 1;
	write_file(dir / "stage-4/train.jsonl", text.substr(0, second) + "\n{\"id\": }\n" + text.substr(second));
	EXPECT_TRUE(has(failure(dir.path, ERR_DATA), "/stage-4/train.jsonl:3: "));
}

TEST(Report, WhatIsNoRunIsRefused)
{
	Temporary dir;
	EXPECT_TRUE(has(failure(dir.path, ERR_NOINPUT), dir.path));
	failure(dir / "nothing", ERR_NOINPUT);
	std::filesystem::create_directory(dir / "plan.yaml");
	failure(dir.path, ERR_NOINPUT);
}

/* ---------------------------------------------------------------- bytes */

TEST(Report, IsTheSameBytesEveryTime)
{
	ReportRun run;
	Temporary one, other;
	err error = {};
	run.write(one.path);
	run.write(other.path);
	std::string page = report_of(one.path);
	EXPECT_EQ(page, report_of(one.path)) << "an older report is replaced";
	ASSERT_EQ(0, report_write(other.path.c_str(), (other / "elsewhere.html").c_str(), version, &error))
		<< error.message;
	EXPECT_EQ(page, read_file(other / "elsewhere.html"));
	EXPECT_FALSE(std::filesystem::exists(other / "report.html"));
	EXPECT_FALSE(has(page, one.path)) << "nor where it lies";
}

TEST(Report, AnOutputThatCannotBeMadeIsRefused)
{
	ReportRun run;
	Temporary dir;
	err error = {};
	run.write(dir.path);
	EXPECT_EQ(-1, report_write(dir.path.c_str(), (dir / "no/such/report.html").c_str(), version, &error));
	EXPECT_EQ(ERR_CANTCREATE, error.code) << error.message;
}

/* ---------------------------------------------------------------- compare.html */

/* Methods whose macro score is 0.6, 0.589 and 0.33: the baseline, one below it, one far below. */
struct Comparison {
	std::vector<const char *> names = {"zero-shot-cot", "random-finetune-cot", "baldistill-adaptive"};
	std::vector<uint64_t> seeds = {7, 11};
	std::vector<std::vector<comparison_cell>> cells;
	std::vector<comparison_row> rows;
	comparison c = {};

	Comparison()
	{
		const double macro[] = {0.33, 0.6, 0.589};
		cells.assign(3, std::vector<comparison_cell>(2));
		rows.resize(3);
		for (size_t m = 0; m < 3; m++) {
			for (size_t s = 0; s < 2; s++) {
				cells[m][s].scoring.n = 2570;
				cells[m][s].used = m ? 2600 + int64_t(s) : 0;
				cells[m][s].answered = m ? 2590 : 0;
				cells[m][s].sends = m ? 2611 : 0;
			}
			rows[m].method = names[m];
			rows[m].cell = cells[m].data();
			for (int f = 0; f < SCORING_FIGURES; f++) {
				rows[m].mean[f] = macro[m] + f / 1000.0;
				rows[m].spread[f] = {macro[m] - 0.02, macro[m] + 0.03};
				rows[m].difference[f] = macro[m] - 0.6;
				rows[m].interval[f] = {macro[m] - 0.62, macro[m] - 0.57};
			}
		}
		c.row = rows.data();
		c.rows = rows.size();
		c.seeds = seeds.size();
		c.seed = seeds.data();
		c.baseline = &rows[1];
		c.preset = "paper";
		c.budget = 2600;
	}
	std::string page()
	{
		Temporary dir;
		err error = {};
		EXPECT_EQ(0, comparison_save_page(&c, dir.path.c_str(), version, &error)) << error.message;
		return read_file(dir / "compare.html");
	}
};

TEST(Compare, IsOnePageWithoutScriptOrRemoteParts)
{
	Comparison it;
	std::string page = it.page();
	EXPECT_EQ(0u, page.find("<!DOCTYPE html>"));
	EXPECT_TRUE(has(page, "content=\"default-src 'none'; style-src 'unsafe-inline'\""));
	EXPECT_TRUE(has(page, "<title>Comparison of methods</title>"));
	for (const char *never :
	     {"<script", "<link", "<img", "<iframe", "javascript:", "http:", "https:", "url(", "@import", "nan"})
		EXPECT_FALSE(has(page, never)) << never;
	expect_well_formed(page);
}

TEST(Compare, TellsEveryFigure)
{
	Comparison it;
	std::string page = it.page();
	EXPECT_TRUE(has(page, "<p>3 methods on the same data: budget <b>2600</b>, preset <b>paper</b>, 2 seeds each "
			      "(7, 11), scored on 2570 examples.</p>"));
	EXPECT_TRUE(has(page, "<th>method</th><th>macro</th><th>micro</th><th>head</th><th>tail</th><th>units</th>"));
	EXPECT_TRUE(has(page, "<td>random-finetune-cot</td><td>60.0</td><td>60.1</td><td>60.2</td><td>60.3</td>"
			      "<td>5201</td><td>5180</td><td>5222</td></tr>"));
	EXPECT_TRUE(has(page, "<td>baldistill-adaptive</td><td>58.9<br/><small>-1.1<br/>[-3.1, +1.9]</small></td>"));
	EXPECT_TRUE(has(page, "<td>zero-shot-cot</td><td>33.0<br/><small>-27.0<br/>[-29.0, -24.0]</small></td>"));
	EXPECT_TRUE(has(page, "paired bootstrap"));
	EXPECT_FALSE(has(page, "is not paid again"));
	it.cells[2][1].sends = 0;
	EXPECT_TRUE(has(it.page(), "is not paid again"));
	EXPECT_FALSE(has(page, "<th>cost</th>")) << "nobody is paid";
}

TEST(Compare, DrawsADotAndALineForEveryMethod)
{
	Comparison it;
	std::string page = it.page();
	EXPECT_EQ(1u, count(page, "<svg "));
	EXPECT_EQ(2u, count(page, "<circle class=\"head\""));
	EXPECT_EQ(1u, count(page, "<circle class=\"tail\"")) << "the baseline is open";
	EXPECT_EQ(3u, count(page, "<path class=\"line macro\""));
	EXPECT_TRUE(has(page, ">58.9 (56.9 to 61.9)</text>"));
	EXPECT_TRUE(has(page, ">baldistill-adaptive</text>"));
	/* 31 to 63 per cent, widened to steps of 10: from 30 to 70; 14 + 372 (58.9 - 30) / 40 */
	EXPECT_TRUE(has(page, "<circle class=\"head\" cx=\"282.8\" cy=\"107\""))
		<< page.substr(page.find("<circle"), 400);
}

TEST(Compare, WithoutABaselineHasNoDifferences)
{
	Comparison it;
	it.c.baseline = nullptr;
	std::string page = it.page();
	EXPECT_FALSE(has(page, "<br/>"));
	EXPECT_FALSE(has(page, "paired bootstrap"));
	EXPECT_TRUE(has(page, "is not among the methods"));
	EXPECT_EQ(3u, count(page, "<circle class=\"head\""));
	expect_well_formed(page);
}

TEST(Compare, EmptyGroupsAreDashesAndMoneyIsTold)
{
	Comparison it;
	for (auto &row : it.rows) {
		row.mean[SCORING_TAIL] = row.difference[SCORING_TAIL] = NAN;
		row.interval[SCORING_TAIL] = row.spread[SCORING_TAIL] = {NAN, NAN};
	}
	it.rows[1].interval[SCORING_MICRO] = {NAN, NAN}; /* no replicates */
	it.cells[2][0].cost = 12345000000;
	std::string page = it.page();
	EXPECT_TRUE(has(page, "<td>&ndash;</td><td>5201</td><td>5180</td><td>5222</td><td>12.35</td></tr>") ||
		    has(page, "<td>&ndash;</td><td>5201</td><td>5180</td><td>5222</td><td>12.34</td></tr>"));
	EXPECT_FALSE(has(page, "nan"));
	for (auto &row : it.rows) {
		row.mean[SCORING_MACRO] = row.difference[SCORING_MACRO] = NAN;
		row.spread[SCORING_MACRO] = row.interval[SCORING_MACRO] = {NAN, NAN};
	}
	page = it.page();
	EXPECT_FALSE(has(page, "nan"));
	EXPECT_FALSE(has(page, "95 %"));
	EXPECT_EQ(0u, count(page, "<circle"));
	expect_well_formed(page);
}

TEST(Compare, NothingFromOutsideBecomesMarkup)
{
	Comparison it;
	it.rows[2].method = "<b>&\"'\x1b";
	std::string page = it.page();
	EXPECT_TRUE(has(page, "&lt;b&gt;&amp;&quot;&#39;\\x1B"));
	expect_well_formed(page);
}

TEST(Compare, ADirectoryThatIsNotThereIsRefused)
{
	Comparison it;
	err error = {};
	EXPECT_EQ(-1, comparison_save_page(&it.c, "/no/such", version, &error));
	EXPECT_EQ(ERR_CANTCREATE, error.code) << error.message;
}

} // namespace
