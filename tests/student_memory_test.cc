// SPDX-License-Identifier: Apache-2.0
/*
 * Memory that runs out anywhere in a model's jobs: they end with ERR_MEMORY, or
 * do without and give the same, and free nothing twice.
 */
#include <functional>
#include <memory>

#include <gtest/gtest.h>

#include "src/student/score.h"
#include "tests/short_memory.h"
#include "tests/student_jobs.h"

#if SHORT_MEMORY

namespace
{

enum { MOST = 20000 };

using Job = std::function<int(struct err *)>;

class StudentMemory : public testing::TestWithParam<bool>
{
protected:
	StudentMemory() : checkpoint(TinyConfig{})
	{
		open();
		for (size_t i = 0; i < rows.prompts.size(); i++) {
			score.push_back({rows.prompts[i].data(), (int64_t)rows.prompts[i].size(),
					 rows.targets[i].data(), (int64_t)rows.targets[i].size(), nullptr});
			generate.push_back({rows.prompts[i].data(), (int64_t)rows.prompts[i].size(), i});
			train.push_back({});
			train[i].ids = rows.whole[i].data(), train[i].n = (int64_t)rows.whole[i].size();
			train[i].first_target = (int64_t)rows.prompts[i].size(), train[i].line = i + 1;
		}
	}
	~StudentMemory()
	{
		close();
	}
	void open()
	{
		struct model_options options = {};
		options.dtype = DTYPE_F32;
		dev = device_reference_new();
		folder = std::make_unique<Temporary>(), other = std::make_unique<Temporary>();
		model = model_load(checkpoint.path(), dev, &options, &error);
		ASSERT_NE(model, nullptr) << error.message;
	}
	void close()
	{
		model_free(model);
		device_reference_free(dev);
	}
	/* The n-th allocation fails, or all from it on, for every n that the job comes to. */
	void sweep(const Job &job, const std::function<bool()> &same)
	{
		long n = 1, told = 0;
		for (bool more = true; more && n < MOST && !HasFailure(); n++) {
			struct err err = {};
			int rc;
			{
				Shortage shortage(n, GetParam());
				rc = job(&err);
				more = failed;
			}
			told += rc != 0;
			EXPECT_TRUE(rc ? more && err.code == ERR_MEMORY : same()) << n << ": " << err.message;
			close(); /* a device that has failed stays so */
			open();
		}
		EXPECT_GT(told, n / 2) << "most failures must be felt";
		EXPECT_LT(n, MOST);
	}

	TinyCheckpoint checkpoint;
	struct device *dev;
	struct model *model;
	std::unique_ptr<Temporary> folder, other; /* empty, for what a job writes */
	struct err error = {};
	Rows rows = Rows(3);
	std::vector<struct score_row> score;
	std::vector<struct generate_row> generate;
	std::vector<struct train_row> train;
};

TEST_P(StudentMemory, Load)
{
	struct model_options options = {};
	options.dtype = DTYPE_F32;
	sweep([&](struct err *err) {
		struct model *one = model_load(checkpoint.path(), dev, &options, err);
		if (one)
			model_free(one);
		return one ? 0 : -1;
	}, [] { return true; });
}

TEST_P(StudentMemory, Score)
{
	struct score_options options = {};
	options.rows = 40, options.bos = 1;
	std::vector<struct ifd_score> whole(score.size()), now(score.size());
	ASSERT_EQ(student_score(model, score.data(), score.size(), &options, whole.data(), nullptr, &error), 0);
	sweep([&](struct err *err) {
		now.assign(score.size(), {});
		return student_score(model, score.data(), score.size(), &options, now.data(), nullptr, err);
	}, [&] {
		bool equal = true;
		for (size_t i = 0; i < now.size(); i++)
			equal = equal && now[i].ifd == whole[i].ifd;
		return equal;
	});
}

TEST_P(StudentMemory, Generate)
{
	struct generate_options options = {};
	options.slots = 3, options.rows = 16, options.max_new_tokens = 4;
	std::vector<struct generated> out(generate.size());
	Ids whole, now;
	auto take = [&] {
		Ids ids;
		for (struct generated &g : out) {
			ids.insert(ids.end(), g.ids, g.ids + g.n);
			generated_release(&g);
		}
		return ids;
	};
	auto job = [&](struct err *err) {
		return student_generate(model, generate.data(), generate.size(), &options, out.data(), nullptr, err);
	};
	ASSERT_EQ(job(&error), 0) << error.message;
	whole = take();
	sweep(job, [&] { return take() == whole; });
}

TEST_P(StudentMemory, Train)
{
	struct train_options options = train_defaults;
	options.num_train_epochs = 1, options.per_device_train_batch_size = 3;
	struct train_kind kind = {};
	kind.seed = 5, kind.lora.r = 3, kind.lora.alpha = 6, kind.lora.targets = TARGETS_ALL_LINEAR;
	for (bool full : {false, true}) {
		kind.full = full;
		struct train_result result = {};
		auto job = [&](struct err *err) {
			struct trainee t;
			struct train_files files = {};
			files.directory = folder->path.c_str();
			result = {};
			if (trainee_open(&t, model, &kind, err))
				return -1;
			int rc = student_train(&t, train.data(), train.size(), &options, &files, &result, err);
			trainee_close(&t);
			return rc;
		};
		ASSERT_EQ(job(&error), 0) << error.message;
		double whole = result.last_loss;
		close(), open();
		sweep(job, [&] { return result.last_loss == whole; });
	}
}

TEST_P(StudentMemory, SaveAndMerge)
{
	struct train_kind kind = {};
	kind.seed = 5, kind.lora.r = 3, kind.lora.alpha = 6, kind.lora.targets = TARGETS_ALL_LINEAR;
	struct trainee t;
	ASSERT_EQ(trainee_open(&t, model, &kind, &error), 0) << error.message;
	Temporary saved;
	ASSERT_EQ(adapter_save(t.adapter, saved.path.c_str(), checkpoint.path(), &error), 0) << error.message;
	trainee_close(&t);
	for (const char *name : {"tokenizer.json", "generation_config.json"})
		write_file(std::string(checkpoint.path()) + "/" + name, "{}");
	sweep([&](struct err *err) {
		struct adapter *a = adapter_load(model, saved.path.c_str(), err);
		int rc = a ? adapter_save(a, folder->path.c_str(), checkpoint.path(), err) ||
				     export_merged(other->path.c_str(), checkpoint.path(), a, err) : -1;
		adapter_free(a);
		return rc;
	}, [&] {
		auto is = [](const Temporary &t, const char *name) { return std::filesystem::exists(t / name); };
		return is(*folder, "adapter_config.json") && is(*folder, "adapter_model.safetensors") &&
		       is(*other, "config.json") && is(*other, "model.safetensors") && is(*other, "tokenizer.json") &&
		       is(*other, "generation_config.json");
	});
}

INSTANTIATE_TEST_SUITE_P(Once, StudentMemory, testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Onwards, StudentMemory, testing::Values(true));

} // namespace

#else

TEST(StudentMemory, NeedsTheOrdinaryAllocator)
{
	GTEST_SKIP() << "the sanitizer has an allocator of its own";
}

#endif
