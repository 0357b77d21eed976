// SPDX-License-Identifier: Apache-2.0
/*
 * report_run.h - a made-up run directory as a run leaves it: 52 domains with a
 * long tail, 5 stages, adaptive policy.
 *
 *     Temporary dir;
 *     ReportRun run;
 *     run.write(dir.path);                    // or change its fields first
 */
#ifndef BALDISTILL_TESTS_REPORT_RUN_H
#define BALDISTILL_TESTS_REPORT_RUN_H

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "reference/policy.h"
#include "tests/temporary.h"

struct ReportRun {
	std::vector<std::string> name;
	std::vector<int64_t> pool;
	int64_t budget = 2600;
	size_t stages = 5;    /* of the plan */
	size_t begun = 5;     /* with an allocation */
	size_t trained = 5;   /* with rows and scores */
	bool finished = true; /* metrics.json, status done */
	std::string teacher = "openai";
	std::string story = "Net profit rose to 4.2 mln dlrs in the first quarter, the company said, on sales of";
	std::vector<double> scores; /* of the domains; empty: made up, different in each stage */
	std::vector<policy_row> row;

	ReportRun()
	{
		static const struct {
			const char *name;
			int64_t n;
		} list[] = {{"earn", 2840},
			    {"acq", 1596},
			    {"crude", 253},
			    {"trade", 251},
			    {"money-fx", 206},
			    {"interest", 190},
			    {"money-supply", 123},
			    {"ship", 108},
			    {"sugar", 97},
			    {"coffee", 90},
			    {"gold", 70},
			    {"gnp", 58},
			    {"cpi", 54},
			    {"cocoa", 46},
			    {"grain", 41},
			    {"jobs", 37},
			    {"reserves", 37},
			    {"ipi", 33},
			    {"alum", 31},
			    {"copper", 31},
			    {"rubber", 31},
			    {"iron-steel", 26},
			    {"nat-gas", 24},
			    {"bop", 22},
			    {"retail", 19},
			    {"veg-oil", 19},
			    {"tin", 17},
			    {"cotton", 15},
			    {"housing", 15},
			    {"wpi", 14},
			    {"livestock", 13},
			    {"orange", 13},
			    {"pet-chem", 13},
			    {"lei", 11},
			    {"gas", 10},
			    {"strategic-metal", 9},
			    {"zinc", 8},
			    {"lumber", 7},
			    {"carcass", 6},
			    {"heat", 6},
			    {"meal-feed", 6},
			    {"instal-debt", 5},
			    {"fuel", 4},
			    {"income", 4},
			    {"lead", 4},
			    {"cpu", 3},
			    {"dlr", 3},
			    {"nickel", 3},
			    {"jet", 2},
			    {"potato", 2},
			    {"tea", 2},
			    {"platinum", 1}};
		for (const auto &domain : list) {
			name.push_back(domain.name);
			pool.push_back(domain.n);
		}
	}

	std::string stage(size_t k) const
	{
		return "stage-" + std::to_string(k);
	}
	static std::string quoted(const std::string &text)
	{
		std::string out = "\"";
		for (char c : text) {
			char escaped[8];
			if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) {
				snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
				out += escaped;
			} else {
				out += c;
			}
		}
		return out + "\"";
	}
	static std::string member(const std::string &key, int64_t value)
	{
		return "\"" + key + "\":" + std::to_string(value);
	}
	const policy_row &at(size_t k, size_t d) const
	{
		return row[k * name.size() + d];
	}

	void allocate()
	{
		const policy policy = {POLICY_ADAPTIVE, 0, static_cast<int64_t>(stages)};
		std::vector<int64_t> parts(stages);
		std::vector<policy_domain> domain;
		for (size_t d = 0; d < name.size(); d++)
			domain.push_back({name[d].c_str(), pool[d]});
		row.resize(stages * name.size());
		if (policy_budgets(parts.data(), policy.stages, budget) ||
		    policy_stages(row.data(), &policy, parts.data(), domain.data(), domain.size()))
			throw std::runtime_error("no allocation");
	}
	std::string allocation(size_t k) const
	{
		int64_t part = policy_part(budget, static_cast<int64_t>(stages), static_cast<int64_t>(k));
		std::string out = "{" + member("stage", static_cast<int64_t>(k)) + "," + member("budget", part) + "," +
				  member("cumulative", part * static_cast<int64_t>(k + 1)) + ",\"domains\":[";
		for (size_t d = 0; d < name.size(); d++)
			out += std::string(d ? "," : "") + "{\"domain\":" + quoted(name[d]) + "," +
			       member("pool", pool[d]) + "," + member("available", pool[d]) + "," +
			       member("required", at(k, d).required) + "," + member("real", at(k, d).real) + "," +
			       member("synthetic", at(k, d).synthetic) + ",\"repeated\":0," +
			       member("replacements", k && d == 2 ? 3 : 0) + ",\"class\":\"" +
			       (at(k, d).tail ? "tail" : "head") + "\"}";
		return out + "]}\n";
	}
	std::string collected(size_t k) const
	{
		std::string out = "{" + member("stage", static_cast<int64_t>(k)) + "," +
				  member("rows", 510 * static_cast<int64_t>(k + 1)) + ",\"domains\":[";
		for (size_t d = 0; d < name.size(); d++) {
			std::string dropped = d == 2         ? "\"wrong_answer\":3"
					      : d == 3       ? "\"wrong_answer\":2"
					      : d == 50 && k ? "\"copy\":1,\"no_answer\":1"
							     : "";
			out += std::string(d ? "," : "") + "{\"domain\":" + quoted(name[d]) + "," +
			       member("real", at(k, d).real - (d == 2 ? 3 : 0)) + "," +
			       member("synthetic", at(k, d).synthetic) + ",\"repeated\":0,\"dropped\":{" + dropped +
			       "}}";
		}
		return out + "]}\n";
	}
	/* The tail learns in the later stages; pseudo-random, but always the same. */
	double score(size_t k, size_t d) const
	{
		if (!scores.empty())
			return scores[d];
		if (d >= 48 && d <= 50)
			return 0; /* three of two rows each */
		double noise = static_cast<double>((d * 7919 + k * 104729) % 1000) / 1000 - 0.5;
		double size = static_cast<double>(std::min<int64_t>(pool[d], 100)) / 100;
		double at = 0.25 + 0.6 * size + 0.35 * (1 - size) * static_cast<double>(k) / 4 +
			    0.7 * noise * (1 - 0.8 * size);
		return d % 9 == 8 && pool[d] < 8 ? (d % 2 ? 0 : 1) : std::clamp(at, 0.0, 1.0);
	}
	std::string metrics(size_t k) const
	{
		double sum[3] = {0, 0, 0}, n[3] = {0, 0, 0}, right = 0, all = 0;
		std::string domains;
		for (size_t d = 0; d < name.size(); d++) {
			bool head = pool[d] > 50;
			int64_t test = std::max<int64_t>(1, pool[d] * 2 / 5);
			double s = score(k, d);
			for (int group : {0, head ? 1 : 2})
				sum[group] += s, n[group]++;
			right += s * static_cast<double>(test), all += static_cast<double>(test);
			domains += std::string(d ? "," : "") + "{\"domain\":" + quoted(name[d]) + "," +
				   member("n", test) + ",\"score\":" + std::to_string(s) +
				   ",\"head\":" + (head ? "true" : "false") + "}";
		}
		const double figure[] = {sum[0] / n[0], right / all, sum[1] / n[1], sum[2] / n[2]},
			     half[] = {.041, .012, .015, .05};
		static const char *const keys[] = {"macro", "micro", "head_macro", "tail_macro"};
		std::string figures, intervals;
		for (int f = 0; f < 4; f++) {
			bool empty = f >= 2 && !n[f - 1];
			std::string low = std::to_string(figure[f] - half[f]),
				    high = std::to_string(figure[f] + half[f]);
			figures += "\"" + std::string(keys[f]) + "\":" + (empty ? "null" : std::to_string(figure[f])) +
				   ",";
			intervals += std::string(f ? "," : "") + "\"" + keys[f] +
				     "\":" + (empty ? "null" : "[" + low + "," + high + "]");
		}
		return "{" + member("n", static_cast<int64_t>(all)) + ",\"invalid\":12," + figures + "\"intervals\":{" +
		       intervals + "},\"domains\":[" + domains + "]}\n";
	}
	std::string training_row(const std::string &id, size_t d, bool synthetic,
				 const std::string &demonstrations) const
	{
		std::string label = quoted(name[d]), text = quoted(story + " " + std::to_string(d) + " mln.");
		return "{\"id\":" + id + ",\"domain\":" + label + ",\"stage\":0,\"origin\":\"" +
		       (synthetic ? "synthetic" : "pool") + "\",\"input\":" + text + ",\"label\":" + label +
		       ",\"rationale\":" +
		       quoted("The story tells of quarterly figures, so it belongs with them. The answer is " +
			      name[d] + ".") +
		       ",\"prompt\":" + text + ",\"completion\":\"x\"" + demonstrations + "}\n";
	}
	std::string training_rows(size_t k) const
	{
		std::string out;
		for (size_t d = 0; d < name.size(); d++) {
			out += training_row(std::to_string(100 * d), d, false, "");
			out += training_row(std::to_string(100 * d + 1), d, false, "");
		}
		for (size_t d = name.size() - 1; k >= 2 && d > 30; d--)
			out += training_row(quoted("synthetic/" + std::to_string(k) + "/" + name[d] + "/0"), d, true,
					    ",\"demonstrations\":[" + std::to_string(100 * d + 1) + "," +
						    std::to_string(100 * d) + "," + std::to_string(100 * d + 7) + "]");
		return out;
	}
	std::string status() const
	{
		int64_t used = budget * static_cast<int64_t>(trained) / static_cast<int64_t>(stages) - 2;
		return "{\"ledger\":{" + member("budget", budget) + "," + member("used", used) + "," +
		       member("armed", 0) + "," + member("answered", used - 9) + "," + member("unusable", 7) + "," +
		       member("in_doubt", 2) + "," + member("released", 31) + "," + member("wire", used + 31) +
		       "},\"stage\":" + std::to_string(begun ? begun - 1 : 0) + ",\"step\":\"" +
		       (finished ? "done" : "annotate") + "\",\"cost\":12.3456,\"seconds_left\":null,\"domains\":[]}\n";
	}
	std::string plan() const
	{
		return "task:\n  type: classification\n  train: r52/train.jsonl\n  test: r52/test.jsonl\nmethod:\n"
		       "  name: baldistill-adaptive\n  preset: recommended\nbudget: " +
		       std::to_string(budget) + "\nstages: " + std::to_string(stages) +
		       "\nstudent:\n  model_name_or_path: SmolLM2-135M\nteacher:\n  kind: " + teacher +
		       "\n  base_url: \"${TEACHER_URL}\"\n  model: gpt-4\noutput_dir: run-r52\nseed: 1\n";
	}
	void write(const std::string &directory)
	{
		allocate();
		write_file(directory + "/plan.yaml", plan());
		write_file(directory + "/status.json", status());
		for (size_t k = 0; k < begun; k++) {
			std::string at = directory + "/" + stage(k);
			std::filesystem::create_directories(at);
			write_file(at + "/allocation.json", allocation(k));
			if (k >= trained)
				continue;
			write_file(at + "/collected.json", collected(k));
			write_file(at + "/metrics.json", metrics(k));
			write_file(at + "/train.jsonl", training_rows(k));
		}
		if (finished)
			write_file(directory + "/metrics.json", metrics(stages - 1));
	}
};

#endif
