// SPDX-License-Identifier: Apache-2.0
/*
 * student_jobs.h - completions and training of a TinyCheckpoint's model on any
 * device, whose results are compared between devices and ways to run a step.
 *
 *     Rows rows(7);
 *     EXPECT_TRUE(complete(model, rows, 0.9f) == complete(other, rows, 0.9f));
 *     EXPECT_EQ(train(model, checkpoint, full, recompute).values, train(other, checkpoint, full, recompute).values);
 */
#ifndef BALDISTILL_TESTS_STUDENT_JOBS_H
#define BALDISTILL_TESTS_STUDENT_JOBS_H

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "src/model/export.h"
#include "src/student/generate.h"
#include "src/student/train.h"
#include "tests/tiny_checkpoint.h"

using Ids = std::vector<int32_t>;

inline Ids random_ids(uint32_t stream, int64_t n)
{
	Ids ids((size_t)n);
	struct philox_key key = philox_stream(3, PHILOX_SHUFFLE, stream, 0, 0);
	for (int64_t i = 0; i < n; i++)
		ids[(size_t)i] = (int32_t)(3 + philox_at(key, (uint32_t)i, 0).w[0] % 94);
	return ids;
}

/* Rows that begin with the same nine tokens. */
struct Rows {
	std::vector<Ids> prompts, targets, whole;

	explicit Rows(size_t n)
	{
		for (uint32_t i = 0; i < n; i++) {
			Ids prompt = random_ids(1000, 9), own = random_ids(2 * i, 1 + 5 * i % 13);
			prompt.insert(prompt.end(), own.begin(), own.end());
			prompts.push_back(prompt);
			targets.push_back(random_ids(2 * i + 1, 2 + 7 * i % 11));
			prompt.insert(prompt.end(), targets[i].begin(), targets[i].end());
			whole.push_back(prompt);
		}
	}
};

/* ---- completions --------------------------------------------------------------------- */

struct Completions {
	std::vector<Ids> ids;
	std::vector<std::vector<float>> logp;

	bool operator==(const Completions &other) const
	{
		return ids == other.ids && logp == other.logp;
	}
};

inline Completions complete(struct model *model, const Rows &rows, float temperature)
{
	struct err err = {};
	std::vector<struct generate_row> list;
	for (size_t i = 0; i < rows.prompts.size(); i++)
		list.push_back({rows.prompts[i].data(), (int64_t)rows.prompts[i].size(), 100 + i});
	struct generate_options options = {};
	options.slots = 3, options.rows = 16, options.max_new_tokens = 20, options.seed = 11;
	options.rule.temperature = temperature, options.rule.top_p = 1;
	std::vector<struct generated> out(list.size());
	EXPECT_EQ(student_generate(model, list.data(), list.size(), &options, out.data(), nullptr, &err), 0)
		<< err.message;
	Completions all;
	for (struct generated &g : out) {
		all.ids.push_back(Ids(g.ids, g.ids + g.n));
		all.logp.push_back(std::vector<float>(g.logp, g.logp + g.n));
		generated_release(&g);
	}
	return all;
}

/* ---- training ------------------------------------------------------------------------ */

struct Trained {
	std::vector<float> values, moments; /* after all steps */
	double loss;
	std::string checkpoint; /* what export wrote: merged, or the trained weights */
	int64_t resumed;        /* by a second start */
};

inline std::vector<float> read(struct device *dev, struct view v)
{
	std::vector<float> out((size_t)(v.rows * v.cols));
	dev->k->download(dev, out.data(), v);
	EXPECT_EQ(device_sync(dev), nullptr);
	return out;
}

inline std::vector<float> values(const struct trainee &t)
{
	std::vector<float> all;
	for (size_t i = 0; i < t.params.n; i++) {
		std::vector<float> one = read(t.params.dev, t.params.list[i].p);
		all.insert(all.end(), one.begin(), one.end());
	}
	return all;
}

inline std::string export_all(struct model *model, const TinyCheckpoint &base, struct trainee *t)
{
	struct err err = {};
	Temporary out, adapter;
	if (t->full) {
		EXPECT_EQ(
			export_trained(out.path.c_str(), base.path(), &t->model->config, &t->params, DTYPE_BF16, &err),
			0)
			<< err.message;
		return read_file(out / "model.safetensors");
	}
	EXPECT_EQ(adapter_save(t->adapter, adapter.path.c_str(), base.path(), &err), 0) << err.message;
	struct adapter *again = adapter_load(model, adapter.path.c_str(), &err);
	EXPECT_NE(again, nullptr) << err.message;
	EXPECT_EQ(export_merged(out.path.c_str(), base.path(), again, &err), 0) << err.message;
	adapter_free(again);
	return read_file(out / "model.safetensors");
}

inline Trained train(struct model *model, const TinyCheckpoint &base, bool full, bool recompute)
{
	struct err err = {};
	Rows data(6);
	std::vector<struct train_row> rows(6);
	for (uint32_t i = 0; i < 6; i++) {
		rows[i].ids = data.whole[i].data(), rows[i].n = (int64_t)data.whole[i].size();
		rows[i].first_target = (int64_t)data.prompts[i].size(), rows[i].key = i, rows[i].line = i + 1;
	}
	struct train_kind kind = {};
	kind.full = full, kind.seed = 5;
	kind.lora.r = 3, kind.lora.alpha = 6, kind.lora.dropout = 0.1, kind.lora.targets = TARGETS_ALL_LINEAR;
	struct train_options options = train_defaults;
	options.learning_rate = 5e-3, options.num_train_epochs = 5, options.shuffle = false;
	options.per_device_train_batch_size = 3, options.gradient_checkpointing = recompute;
	Temporary folder;
	struct train_files files = {};
	files.directory = folder.path.c_str();
	struct train_result result, second;
	struct trainee t, u;
	EXPECT_EQ(trainee_open(&t, model, &kind, &err), 0) << err.message;
	EXPECT_EQ(student_train(&t, rows.data(), 6, &options, &files, &result, &err), 0) << err.message;
	Trained out = {values(t), read(model->dev, t.params.m), result.last_loss, export_all(model, base, &t), 0};
	if (!full) { /* full fine-tuning has changed the model, whose first values are in the checkpoint's name */
		adapter_detach(t.adapter);
		EXPECT_EQ(trainee_open(&u, model, &kind, &err), 0) << err.message;
		EXPECT_EQ(student_train(&u, rows.data(), 6, &options, &files, &second, &err), 0) << err.message;
		out.resumed = second.resumed_from;
		EXPECT_EQ(values(u), out.values);
		trainee_close(&u);
	}
	trainee_close(&t);
	return out;
}

#endif
