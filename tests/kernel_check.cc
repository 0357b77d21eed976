// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel_check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <tuple>

static constexpr bool in_order()
{
	for (int op = 0; op < OP_COUNT; op++)
		if ((int)tolerances[op].op != op)
			return false;
	return sizeof tolerances / sizeof *tolerances == OP_COUNT;
}
static_assert(in_order(), "one line per operation, in the order of KERNEL_OPS");

Condition measure_condition(const Output &want, const Output &moved, double step)
{
	Condition condition = {std::vector<double>((size_t)want.rows), 0};
	for (int64_t i = 0; i < want.rows; i++) {
		double sum = 0;
		if (!want.used.empty() && !want.used[(size_t)i])
			continue;
		for (int64_t j = 0; j < want.cols; j++) {
			double change =
				moved.value[(size_t)(i * want.cols + j)] - want.value[(size_t)(i * want.cols + j)];
			sum += change * change / (step * step);
		}
		condition.row[(size_t)i] = std::sqrt(sum / (double)want.cols);
		condition.whole += sum;
	}
	condition.whole = std::sqrt(condition.whole / (double)std::max<int64_t>(want.rows * want.cols, 1));
	return condition;
}

static double allowed(const Subject &subject, enum dtype storage, const Condition *condition, int64_t i, double want)
{
	const Tolerance &t = tolerances[subject.op];
	if (!condition || storage > DTYPE_F16)
		return 0;
	double s = std::max({condition->row[(size_t)i], condition->whole, std::fabs(want)});
	double steps = std::max(t.steps, subject.steps) + (subject.rounds_operands ? t.operands : 0);
	double unit = steps * unit_roundoff[subject.arithmetic] +
		      t.root * std::sqrt(subject.length) * unit_roundoff[DTYPE_F32];
	return unit * s + 2 * unit_roundoff[storage] * std::fabs(want);
}

static std::string difference(const Subject &subject, const Output &want, int64_t at, double got, double limit)
{
	char text[512];
	snprintf(text, sizeof text, "%s on %s, %s, %s: %s[%lld, %lld] is %.9g, expected %.9g within %.3g",
		 op_name(subject.op), subject.lane.c_str(), subject.dtype.c_str(), subject.shape.c_str(),
		 want.name.c_str(), (long long)(at / want.cols), (long long)(at % want.cols), got,
		 want.value[(size_t)at], limit);
	return text;
}

std::string compare_output(const Subject &subject, const Output &want, const Output &got, const Condition *condition,
			   double *worst)
{
	std::string first;
	for (int64_t at = 0; at < want.rows * want.cols; at++) {
		int64_t i = at / want.cols;
		double w = want.value[(size_t)at], g = got.value[(size_t)at];
		if (!want.used.empty() && !want.used[(size_t)i])
			continue;
		double limit = allowed(subject, want.dtype, condition, i, w), error = std::fabs(g - w);
		bool exact = g == w || (!condition && std::isnan(g) && std::isnan(w));
		if (!exact && std::isfinite(error) && limit > 0)
			*worst = std::max(*worst, error / limit);
		if (!exact && !(error <= limit)) {
			*worst = limit > 0 && std::isfinite(error) ? *worst : INFINITY;
			if (first.empty())
				first = difference(subject, want, at, g, limit);
		}
	}
	return first;
}

struct Entry {
	int64_t comparisons = 0, elements = 0;
	double worst = 0;
	std::string shape;
};
static std::map<std::tuple<std::string, int, std::string>, Entry> entries;

void record_comparison(const Subject &subject, int64_t elements, double worst)
{
	Entry &entry = entries[{subject.lane, subject.op, subject.dtype}];
	entry.comparisons++;
	entry.elements += elements;
	if (entry.shape.empty() || worst > entry.worst) {
		entry.worst = worst;
		entry.shape = subject.shape;
	}
}

int64_t comparisons_of(const std::string &lane)
{
	int64_t sum = 0;
	for (const auto &[key, entry] : entries)
		sum += std::get<0>(key) == lane ? entry.comparisons : 0;
	return sum;
}

void print_comparisons()
{
	printf("\nworst case per operation, as a share of what is allowed (0: no difference)\n");
	printf("%-10s %-19s %-5s %11s %10s %7s  %s\n", "backend", "operation", "dtype", "comparisons", "elements",
	       "worst", "at");
	for (const auto &[key, entry] : entries)
		printf("%-10s %-19s %-5s %11lld %10lld %7.3f  %s\n", std::get<0>(key).c_str(),
		       op_name((enum op)std::get<1>(key)), std::get<2>(key).c_str(), (long long)entry.comparisons,
		       (long long)entry.elements, entry.worst, entry.worst > 0 ? entry.shape.c_str() : "-");
}
