// SPDX-License-Identifier: Apache-2.0
/*
 * plan_test - plan files: what is read, what is refused and on which line, the
 * resolved text, and what may change between two starts. Expected values are
 * those of the manual (baldistill-plan(5)); wrong plans are a table.
 */
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "src/pipeline/plan.h"
#include "src/pipeline/plan_keys.h"
#include "src/text/chat.h"
#include "tests/temporary.h"

namespace {

const std::string task = "task: {type: classification, train: pool.jsonl}\n";
const std::string student = "student: {model_name_or_path: base}\n";
const std::string teacher = "teacher: {base_url: https://example.org/v1, model: m}\n";
const std::string least = task + "budget: 2600\n" + student + teacher;

struct Plan {
	explicit Plan(const std::string &text, const std::string &name = "plan.yaml")
	{
		write_file(dir / name, text);
		path = dir / name;
		result = plan_load(&plan, path.c_str(), &err);
	}
	Plan(const Plan &) = delete;
	~Plan()
	{
		if (!result)
			plan_release(&plan);
	}
	Temporary dir;
	std::string path;
	struct plan plan = {};
	struct err err = {};
	int result;
};

std::string resolved(const std::string &text)
{
	Plan p(text);
	EXPECT_EQ(p.result, 0) << p.err.message;
	return p.result ? "" : p.plan.resolved;
}

std::string hash_of(const Plan &p)
{
	unsigned char digest[HASH_SIZE];
	char hex[HASH_HEX_ROOM];
	struct err err = {};
	EXPECT_EQ(plan_hash(digest, &p.plan, &err), 0) << err.message;
	hash_hex(hex, digest);
	return hex;
}

std::string with(std::string text, const std::string &from, const std::string &to)
{
	size_t at = text.find(from);
	EXPECT_NE(at, std::string::npos) << from;
	return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

const char whole[] = R"(# every section
task:
  type: multiple_choice
  train: data/train.jsonl
  valid: /abs/valid.jsonl
  test: data/test.jsonl
  fields: {id: key, input: question, label: answer, domain: source, choices: options}
  domains: [Race, Winogrande, SIQA]
  head_domains: [Race]
  prompts: prompts
  keep_duplicates: true
method: {name: baldistill-naive, preset: paper, first_stage: ifd, policy_index_base: 1, ifd_filter: below_one,
         on_wrong_answer: drop, verify_synthetic: full, replace_unusable: true}
budget: 600
stages: 3
student: {model_name_or_path: models/base, backend: reference, dtype: float32, chat_template: chatml,
          memory: 512MiB, slots: 8}
selection: {max_new_tokens: 100, candidates_per_domain: 50, ifd_target: gold}
training: {finetuning_type: lora, lora_r: 4, lora_alpha: 8, lora_dropout: 0, lora_target_modules: [k_proj, o_proj],
           use_rslora: true, learning_rate: 1e-3, weight_decay: 0, lr_scheduler_type: cosine, warmup_ratio: 0.1,
           max_grad_norm: 0.5, num_train_epochs: 2, per_device_train_batch_size: 4, gradient_accumulation_steps: 2,
           max_length: 512, completion_only_loss: false,
           gradient_checkpointing: true}
teacher:
  kind: openai
  base_url: http://127.0.0.1:8000/v1
  model: some/model
  api_key_env:
  api_key_file: secret/key
  max_concurrent_requests: 4
  max_requests_per_minute: 90.5
  max_tokens_per_minute: 40000
  max_tokens: 300
  max_tokens_key: max_completion_tokens
  temperature: {annotate: 0.5, synthesise: 1}
  timeout: 30
  max_wait: 60
  max_retries: 0
  prices: {input: 2.5, output: 10}
  max_cost: 12.5
  extra_headers: {X-Title: "a b", X-Key: "${PLAN_TEST_SECRET}"}
  extra_body: {seed: 7, top_p: 0.5, stop: ["7", null, true], deep: {a: {}, b: []}, text: "true", plain: some words}
evaluation: {stages: all, on: valid, max_new_tokens: 50, bootstrap: 0}
export: {merged: false}
output_dir: out
seed: 42
)";

class PlanTest : public testing::Test {
protected:
	void SetUp() override
	{
		setenv("PLAN_TEST_SECRET", "s3cret", 1);
		setenv("PLAN_TEST_BUDGET", "700", 1);
		setenv("PLAN_TEST_DATA", "shared/data", 1);
		unsetenv("PLAN_TEST_UNSET");
	}
};

TEST_F(PlanTest, ReadsEveryKey)
{
	Plan p(whole);
	ASSERT_EQ(p.result, 0) << p.err.message;
	const struct plan &q = p.plan;
	const std::string dir = p.dir.path + "/";
	EXPECT_EQ(q.task.type, ANSWER_CHOICE);
	EXPECT_EQ(q.task.train, dir + "data/train.jsonl");
	EXPECT_STREQ(q.task.valid, "/abs/valid.jsonl");
	EXPECT_EQ(q.task.test, dir + "data/test.jsonl");
	EXPECT_STREQ(q.task.fields.id, "key");
	EXPECT_STREQ(q.task.fields.input, "question");
	EXPECT_STREQ(q.task.fields.label, "answer");
	EXPECT_STREQ(q.task.fields.domain, "source");
	EXPECT_STREQ(q.task.fields.choices, "options");
	ASSERT_EQ(q.task.domains.n, 3u);
	EXPECT_STREQ(q.task.domains.list[2], "SIQA");
	ASSERT_EQ(q.task.head_domains.n, 1u);
	EXPECT_STREQ(q.task.head_domains.list[0], "Race");
	EXPECT_EQ(q.task.prompts, dir + "prompts");
	EXPECT_TRUE(q.task.keep_duplicates);
	EXPECT_STREQ(q.method.method->name, "baldistill-naive");
	EXPECT_EQ(q.method.preset, PRESET_PAPER);
	EXPECT_EQ(q.method.first_stage, FIRST_IFD);
	EXPECT_EQ(q.method.policy_index_base, 1);
	EXPECT_EQ(q.method.ifd_filter, IFD_BELOW_ONE);
	EXPECT_EQ(q.method.on_wrong_answer, WRONG_DROP);
	EXPECT_EQ(q.method.verify_synthetic, VERIFY_FULL);
	EXPECT_TRUE(q.method.replace_unusable);
	EXPECT_EQ(q.budget, 600);
	EXPECT_EQ(q.stages, 3);
	EXPECT_EQ(q.student.model_name_or_path, dir + "models/base");
	EXPECT_STREQ(q.student.backend, "reference");
	EXPECT_EQ(q.student.dtype, DTYPE_F32);
	EXPECT_STREQ(q.student.chat_template, "chatml");
	EXPECT_EQ(q.student.memory, (uint64_t)512 << 20);
	EXPECT_EQ(q.student.slots, 8);
	EXPECT_EQ(q.selection.max_new_tokens, 100);
	EXPECT_EQ(q.selection.candidates_per_domain, 50);
	EXPECT_EQ(q.selection.ifd_target, TARGET_GOLD);
	EXPECT_FALSE(q.merged);
	EXPECT_EQ(q.output_dir, dir + "out");
	EXPECT_EQ(q.seed, 42u);
	EXPECT_EQ(q.evaluation.stages, EVALUATE_ALL);
	EXPECT_EQ(q.evaluation.on, EVALUATE_VALID);
	EXPECT_EQ(q.evaluation.max_new_tokens, 50);
	EXPECT_EQ(q.evaluation.bootstrap, 0);
}

TEST_F(PlanTest, ReadsTheTrainingBlock)
{
	Plan p(whole);
	ASSERT_EQ(p.result, 0) << p.err.message;
	const struct train_config &t = p.plan.training;
	EXPECT_FALSE(t.kind.full);
	EXPECT_EQ(t.kind.lora.r, 4);
	EXPECT_EQ(t.kind.lora.alpha, 8);
	EXPECT_EQ(t.kind.lora.dropout, 0);
	EXPECT_EQ(t.kind.lora.targets, 1u << MODULE_K | 1u << MODULE_O);
	EXPECT_TRUE(t.kind.lora.use_rslora);
	EXPECT_EQ(t.options.learning_rate, 1e-3);
	EXPECT_EQ(t.options.weight_decay, 0);
	EXPECT_EQ(t.options.lr_scheduler_type, SCHEDULE_COSINE);
	EXPECT_EQ(t.options.warmup_ratio, 0.1);
	EXPECT_EQ(t.options.max_grad_norm, 0.5);
	EXPECT_EQ(t.options.num_train_epochs, 2);
	EXPECT_EQ(t.options.per_device_train_batch_size, 4);
	EXPECT_EQ(t.options.gradient_accumulation_steps, 2);
	EXPECT_EQ(t.max_length, 512);
	EXPECT_FALSE(t.completion_only_loss);
	EXPECT_TRUE(t.options.gradient_checkpointing);
	EXPECT_EQ(t.options.seed, 42u);
	EXPECT_EQ(t.kind.seed, 42u);
	EXPECT_EQ(t.options.memory, (uint64_t)512 << 20);
}

std::string body_of(const struct plan &plan)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	json_put_value(&w, json_root(plan.teacher.extra_body));
	const char *text = json_writer_text(&w, nullptr, nullptr);
	std::string body = text ? text : "";
	json_writer_release(&w);
	return body;
}

TEST_F(PlanTest, ReadsTheTeacherBlock)
{
	Plan p(whole);
	ASSERT_EQ(p.result, 0) << p.err.message;
	const struct plan_teacher &t = p.plan.teacher;
	EXPECT_TRUE(t.written);
	EXPECT_EQ(t.kind, TEACHER_OPENAI);
	EXPECT_STREQ(t.base_url, "http://127.0.0.1:8000/v1");
	EXPECT_STREQ(t.model, "some/model");
	EXPECT_STREQ(t.api_key_env, "");
	EXPECT_EQ(t.api_key_file, p.dir / "secret/key");
	EXPECT_EQ(t.max_concurrent_requests, 4);
	EXPECT_EQ(t.max_requests_per_minute, 90.5);
	EXPECT_EQ(t.max_tokens_per_minute, 40000);
	EXPECT_EQ(t.max_tokens, 300);
	EXPECT_TRUE(t.max_completion_tokens);
	EXPECT_EQ(t.temperature_annotate, 0.5);
	EXPECT_EQ(t.temperature_synthesise, 1);
	EXPECT_EQ(t.timeout, 30);
	EXPECT_EQ(t.max_wait, 60);
	EXPECT_EQ(t.max_retries, 0);
	EXPECT_EQ(t.price_input, 2.5);
	EXPECT_EQ(t.price_output, 10);
	EXPECT_EQ(t.max_cost, 12.5);
	ASSERT_EQ(t.extra_headers.n, 2u);
	EXPECT_STREQ(t.extra_headers.pair[0].name, "X-Title");
	EXPECT_STREQ(t.extra_headers.pair[0].value, "a b");
	EXPECT_STREQ(t.extra_headers.pair[1].value, "s3cret");
	EXPECT_EQ(body_of(p.plan), "{\"seed\":7,\"top_p\":0.5,\"stop\":[\"7\",null,true],\"deep\":{\"a\":{},\"b\":[]},"
				   "\"text\":\"true\",\"plain\":\"some words\"}");
}

TEST_F(PlanTest, DefaultsAreTheManuals)
{
	Plan p(least);
	ASSERT_EQ(p.result, 0) << p.err.message;
	const struct plan &q = p.plan;
	EXPECT_EQ(q.task.valid, nullptr);
	EXPECT_EQ(q.task.test, nullptr);
	EXPECT_EQ(q.task.fields.id, nullptr);
	EXPECT_EQ(q.task.domains.list, nullptr);
	EXPECT_EQ(q.task.head_domains.list, nullptr);
	EXPECT_EQ(q.task.head_above, 50);
	EXPECT_FALSE(q.task.keep_duplicates);
	EXPECT_STREQ(q.method.method->name, "baldistill-adaptive");
	EXPECT_EQ(q.method.preset, PRESET_RECOMMENDED);
	EXPECT_EQ(q.method.on_wrong_answer, WRONG_DROP);
	EXPECT_EQ(q.method.verify_synthetic, VERIFY_FULL);
	EXPECT_TRUE(q.method.replace_unusable);
	EXPECT_EQ(q.stages, 5);
	EXPECT_STREQ(q.student.backend, "auto");
	EXPECT_EQ(q.student.dtype, DTYPE_BF16);
	EXPECT_STREQ(q.student.chat_template, "none");
	EXPECT_EQ(q.student.memory, (uint64_t)8 << 30);
	EXPECT_EQ(q.student.slots, 64);
	EXPECT_EQ(q.selection.max_new_tokens, 200);
	EXPECT_EQ(q.selection.candidates_per_domain, 0);
	EXPECT_EQ(q.selection.ifd_target, TARGET_GENERATED);
	EXPECT_EQ(q.teacher.kind, TEACHER_OPENAI);
	EXPECT_STREQ(q.teacher.api_key_env, "OPENAI_API_KEY");
	EXPECT_EQ(q.teacher.api_key_file, nullptr);
	EXPECT_EQ(q.teacher.ca_file, nullptr);
	EXPECT_EQ(q.teacher.max_concurrent_requests, 8);
	EXPECT_EQ(q.teacher.max_requests_per_minute, 0);
	EXPECT_EQ(q.teacher.max_tokens, 512);
	EXPECT_FALSE(q.teacher.max_completion_tokens);
	EXPECT_EQ(q.teacher.temperature_annotate, 0);
	EXPECT_EQ(q.teacher.temperature_synthesise, 0.9);
	EXPECT_EQ(q.teacher.timeout, 600);
	EXPECT_EQ(q.teacher.max_wait, 600);
	EXPECT_EQ(q.teacher.max_retries, 3);
	EXPECT_EQ(q.teacher.price_input, -1);
	EXPECT_EQ(q.teacher.price_output, -1);
	EXPECT_EQ(q.teacher.max_cost, -1);
	EXPECT_EQ(q.teacher.extra_headers.n, 0u);
	EXPECT_EQ(q.teacher.extra_body, nullptr);
	EXPECT_EQ(q.evaluation.stages, EVALUATE_LAST);
	EXPECT_EQ(q.evaluation.on, EVALUATE_TEST);
	EXPECT_EQ(q.evaluation.max_new_tokens, 200);
	EXPECT_EQ(q.evaluation.bootstrap, 1000);
	EXPECT_TRUE(q.merged);
	EXPECT_EQ(q.output_dir, p.dir / "run-r52");
	EXPECT_EQ(q.seed, 1u);
}

// The table's texts and the student's own defaults are two places for one thing.
TEST_F(PlanTest, TrainingDefaultsAreTheStudents)
{
	Plan p(least);
	ASSERT_EQ(p.result, 0) << p.err.message;
	const struct train_config &t = p.plan.training, &d = train_config_defaults;
	EXPECT_EQ(t.finetuning_type, d.finetuning_type);
	EXPECT_EQ(t.kind.lora.r, d.kind.lora.r);
	EXPECT_EQ(t.kind.lora.alpha, d.kind.lora.alpha);
	EXPECT_EQ(t.kind.lora.dropout, d.kind.lora.dropout);
	EXPECT_EQ(t.kind.lora.targets, d.kind.lora.targets);
	EXPECT_EQ(t.kind.lora.use_rslora, d.kind.lora.use_rslora);
	EXPECT_EQ(t.options.learning_rate, d.options.learning_rate);
	EXPECT_EQ(t.options.weight_decay, d.options.weight_decay);
	EXPECT_EQ(t.lr_scheduler_type, d.lr_scheduler_type);
	EXPECT_EQ(t.options.warmup_ratio, d.options.warmup_ratio);
	EXPECT_EQ(t.options.max_grad_norm, d.options.max_grad_norm);
	EXPECT_EQ(t.options.num_train_epochs, d.options.num_train_epochs);
	EXPECT_EQ(t.options.per_device_train_batch_size, d.options.per_device_train_batch_size);
	EXPECT_EQ(t.options.gradient_accumulation_steps, d.options.gradient_accumulation_steps);
	EXPECT_EQ(t.max_length, d.max_length);
	EXPECT_EQ(t.completion_only_loss, d.completion_only_loss);
	EXPECT_EQ(t.options.gradient_checkpointing, d.options.gradient_checkpointing);
}

TEST_F(PlanTest, TableAndStudentHaveTheSameTrainingKeys)
{
	std::vector<std::string> ours, theirs;
	for (const struct plan_key *key = plan_keys; key->path; key++)
		if (key->kind == PLAN_TRAINING)
			ours.push_back(plan_key_name(key));
	for (const struct train_key *key = train_keys; key->name; key++)
		theirs.push_back(key->name);
	EXPECT_EQ(ours, theirs);
}

TEST_F(PlanTest, WordsAreThoseOfTheirRooms)
{
	const struct plan_key *type = plan_key_find("task.type"), *chat = plan_key_find("student.chat_template");
	for (int i = 0; i < ANSWER_TYPES; i++)
		EXPECT_STREQ(type->words[i], answer_type_names[i]);
	EXPECT_EQ(type->words[ANSWER_TYPES], nullptr);
	std::set<std::string> known = {"auto"}, listed;
	for (int i = 0; i < CHAT_FAMILIES; i++)
		known.insert(chat_family_name((enum chat_family)i));
	for (const char *const *word = chat->words; *word; word++)
		listed.insert(*word);
	EXPECT_EQ(listed, known);
}

TEST_F(PlanTest, PresetPaper)
{
	Plan p(least + "method: {preset: paper}\n");
	ASSERT_EQ(p.result, 0) << p.err.message;
	EXPECT_EQ(p.plan.method.on_wrong_answer, WRONG_KEEP);
	EXPECT_EQ(p.plan.method.verify_synthetic, VERIFY_PARSE);
	EXPECT_FALSE(p.plan.method.replace_unusable);
	EXPECT_EQ(p.plan.training.options.lr_scheduler_type, SCHEDULE_LINEAR);
	EXPECT_EQ(p.plan.training.options.max_grad_norm, 1);
	EXPECT_TRUE(p.plan.training.completion_only_loss);
}

TEST_F(PlanTest, PresetAuthors)
{
	Plan p(least + "method: {preset: authors}\n");
	ASSERT_EQ(p.result, 0) << p.err.message;
	EXPECT_EQ(p.plan.method.on_wrong_answer, WRONG_DROP);
	EXPECT_EQ(p.plan.method.verify_synthetic, VERIFY_PARSE);
	EXPECT_FALSE(p.plan.method.replace_unusable);
	EXPECT_EQ(p.plan.training.options.lr_scheduler_type, SCHEDULE_CONSTANT);
	EXPECT_EQ(p.plan.training.options.warmup_ratio, 0.03);
	EXPECT_EQ(p.plan.training.options.max_grad_norm, 0.3);
	EXPECT_FALSE(p.plan.training.completion_only_loss);
	EXPECT_EQ(p.plan.training.max_length, 1024);
	EXPECT_EQ(p.plan.selection.max_new_tokens, 200);
}

TEST_F(PlanTest, WrittenKeysWinOverThePreset)
{
	Plan p(least + "method: {preset: authors, verify_synthetic: full}\ntraining: {max_grad_norm: 2}\n");
	ASSERT_EQ(p.result, 0) << p.err.message;
	EXPECT_EQ(p.plan.method.verify_synthetic, VERIFY_FULL);
	EXPECT_EQ(p.plan.training.options.max_grad_norm, 2);
	EXPECT_EQ(p.plan.training.options.warmup_ratio, 0.03);
}

TEST_F(PlanTest, MethodMayBeItsNameAlone)
{
	Plan p(least + "method: random-finetune-cot\n");
	ASSERT_EQ(p.result, 0) << p.err.message;
	EXPECT_STREQ(p.plan.method.method->name, "random-finetune-cot");
	EXPECT_NE(std::string(p.plan.resolved).find("method:\n  name: random-finetune-cot\n  preset: recommended\n"),
		  std::string::npos);
}

TEST_F(PlanTest, EmptyKeysAndSectionsAreNotWritten)
{
	Plan p(least + "stages:\ntraining:\nselection:\nseed: ~\nevaluation: {on: null}\n");
	ASSERT_EQ(p.result, 0) << p.err.message;
	EXPECT_EQ(p.plan.stages, 5);
	EXPECT_EQ(p.plan.seed, 1u);
	EXPECT_EQ(p.plan.evaluation.on, EVALUATE_TEST);
}

TEST_F(PlanTest, OtherTeachers)
{
	Plan local(task + "budget: 9\n" + student + "teacher: {kind: local, model_name_or_path: big, max_tokens: 9}\n");
	ASSERT_EQ(local.result, 0) << local.err.message;
	EXPECT_EQ(local.plan.teacher.model_name_or_path, local.dir / "big");
	Plan command(task + "budget: 9\n" + student +
		     "teacher: {kind: command, command: [bin/ask, -v, ''], prices: {input: 1}}\n");
	ASSERT_EQ(command.result, 0) << command.err.message;
	ASSERT_EQ(command.plan.teacher.command.n, 3u);
	EXPECT_EQ(command.plan.teacher.command.list[0], command.dir / "bin/ask");
	EXPECT_STREQ(command.plan.teacher.command.list[2], "");
	EXPECT_EQ(command.plan.teacher.command.list[3], nullptr);
	Plan found(task + "budget: 9\n" + student + "teacher: {kind: command, command: [ask]}\n");
	ASSERT_EQ(found.result, 0) << found.err.message;
	EXPECT_STREQ(found.plan.teacher.command.list[0], "ask");
	Plan recorded(task + "budget: 9\n" + student +
		      "teacher: {kind: recorded, cassette: c.jsonl, on_missing: skip, restrict_pool: true}\n");
	ASSERT_EQ(recorded.result, 0) << recorded.err.message;
	EXPECT_EQ(recorded.plan.teacher.cassette, recorded.dir / "c.jsonl");
	EXPECT_EQ(recorded.plan.teacher.on_missing, MISSING_SKIP);
	EXPECT_TRUE(recorded.plan.teacher.restrict_pool);
	Plan none(task + "budget: 9\n" + student + "method: random-finetune\n");
	ASSERT_EQ(none.result, 0) << none.err.message;
	EXPECT_FALSE(none.plan.teacher.written);
	EXPECT_EQ(std::string(none.plan.resolved).find("teacher"), std::string::npos);
}

TEST_F(PlanTest, SinglePassMethodsTakeNoNoticeOfStages)
{
	Plan p(task + "budget: 3\n" + student + teacher + "method: random-finetune-cot\n");
	EXPECT_EQ(p.result, 0) << p.err.message;
}

TEST_F(PlanTest, KeyOfTheEnvironmentOrNone)
{
	Plan none(with(least, "model: m", "model: m, api_key_env: "));
	ASSERT_EQ(none.result, 0) << none.err.message;
	EXPECT_STREQ(none.plan.teacher.api_key_env, "");
	EXPECT_NE(std::string(none.plan.resolved).find("  api_key_env:\n"), std::string::npos);
	Plan file(with(least, "model: m", "model: m, api_key_file: k"));
	ASSERT_EQ(file.result, 0) << file.err.message;
	EXPECT_STREQ(file.plan.teacher.api_key_env, "");
}

TEST_F(PlanTest, ReplacesVariablesAndKeepsThemVerbatim)
{
	std::string text = with(with(least, "budget: 2600", "budget: ${PLAN_TEST_BUDGET}"), "pool.jsonl",
				"\"${PLAN_TEST_DATA}/$${x}.jsonl\"");
	Plan p(text);
	ASSERT_EQ(p.result, 0) << p.err.message;
	EXPECT_EQ(p.plan.budget, 700);
	EXPECT_EQ(p.plan.task.train, p.dir / "shared/data/${x}.jsonl");
	std::string out = p.plan.resolved;
	EXPECT_NE(out.find("\nbudget: ${PLAN_TEST_BUDGET}\n"), std::string::npos);
	EXPECT_NE(out.find("  train: \"${PLAN_TEST_DATA}/$${x}.jsonl\"\n"), std::string::npos);
	EXPECT_EQ(resolved(out), out);
	EXPECT_EQ(resolved(whole).find("s3cret"), std::string::npos);
}

TEST_F(PlanTest, ResolvedTextHasEveryKeyInOrder)
{
	Plan p(least);
	ASSERT_EQ(p.result, 0) << p.err.message;
	std::string out = p.plan.resolved;
	size_t at = 0;
	for (const struct plan_key *key = plan_keys; key->path; key++) {
		if (!plan_key_applies(&p.plan, key))
			continue;
		size_t found = out.find(plan_key_name(key) + std::string(":"), at);
		ASSERT_NE(found, std::string::npos) << key->path;
		at = found + 1;
	}
	EXPECT_NE(out.find("  head_domains:\n    above: 50\n"), std::string::npos);
	EXPECT_NE(out.find("  lora_target_modules: [q_proj, v_proj]\n"), std::string::npos);
	EXPECT_NE(out.find("  temperature:\n    annotate: 0\n    synthesise: 0.9\n  timeout: 600\n"),
		  std::string::npos);
	EXPECT_EQ(out.find("cassette"), std::string::npos);
}

TEST_F(PlanTest, ResolvedTextResolvesToItself)
{
	const std::vector<std::string> plans = {
		least,
		whole,
		least + "method: {preset: authors, on_wrong_answer: keep}\n",
		with(whole, "head_domains: [Race]", "head_domains: {above: 7}"),
		with(whole, "domains: [Race, Winogrande, SIQA]",
		     "domains: [Race, 'a: b', \"c\\td\\x85\\u2028\", \"\\x7f'\\\"\\\\\", \"#\", \"7\"]"),
		with(whole, "X-Title: \"a b\"", "X-Title: 'a: #b'"),
		least + "  \n",
		with(least, teacher,
		     "teacher:\n  base_url: https://a\n  model: m\n  extra_body:\n    deep:\n    - - 1\n      - {x: "
		     "[], 'y z': ''}\n"
		     "    - 'null': ~\n      '-': [null, 'null', \"${PLAN_TEST_BUDGET}\"]\n      number: "
		     "${PLAN_TEST_BUDGET}\n      \"\\n: \": |\n        a\n         b\n"
		     "      folded: >\n        # c\n        d\n"),
		with(whole, "plain: some words", "plain: a\n    b c\n\n    d"),
		task + "budget: 9\n" + student + "method: random-finetune\n",
		task + "budget: 9\n" + student +
			"teacher: {kind: command, command: [\"a b\", '-', \"${PLAN_TEST_DATA}\"]}\n",
		task + "budget: 9\n" + student + "teacher: {kind: recorded, cassette: c.jsonl}\n",
	};
	for (const std::string &text : plans) {
		Plan p(text);
		ASSERT_EQ(p.result, 0) << p.err.message << "\n" << text;
		std::string out = p.plan.resolved;
		Plan again(out);
		ASSERT_EQ(again.result, 0) << again.err.message << "\n" << out;
		EXPECT_EQ(again.plan.resolved, out);
		EXPECT_EQ(hash_of(again), hash_of(p)) << out;
		struct plan_changes changes;
		struct err err = {};
		EXPECT_EQ(plan_compare(&again.plan, out.c_str(), &changes, &err), 0) << err.message;
		EXPECT_FALSE(changes.backend || changes.moved);
	}
}

// Half a plan is a plan or is refused; never anything else.
/* A run of a comparison: its own method, seed and directory, everything else as written. */
TEST_F(PlanTest, AVariantDiffersInMethodSeedAndDirectory)
{
	Plan p(whole);
	ASSERT_EQ(p.result, 0) << p.err.message;
	const struct plan &base = p.plan;
	struct plan plan = {};
	struct err err = {};
	ASSERT_EQ(plan_load_variant(&plan, p.path.c_str(), "random-finetune-cot", 7, &err), 0) << err.message;
	EXPECT_STREQ(plan.method.method->name, "random-finetune-cot");
	EXPECT_EQ(plan.method.preset, PRESET_PAPER);
	EXPECT_EQ(plan.seed, 7u);
	EXPECT_EQ(plan.training.options.seed, 7u);
	EXPECT_EQ(plan.output_dir, std::string(base.output_dir) + "/random-finetune-cot/7");
	std::string want = with(base.resolved, "name: baldistill-naive", "name: random-finetune-cot");
	want = with(with(want, "seed: 42", "seed: 7"), "output_dir: out", "output_dir: \"out/random-finetune-cot/7\"");
	EXPECT_EQ(plan.resolved, want);
	plan_release(&plan);
	EXPECT_EQ(plan_load_variant(&plan, p.path.c_str(), "glee", 7, &err), -1);
	EXPECT_EQ(err.code, ERR_CONFIG);
}

TEST_F(PlanTest, EveryBeginningOfAPlanIsReadOrRefused)
{
	const std::string text = whole;
	size_t read = 0;
	for (size_t n = 1; n <= text.size(); n++) {
		struct plan plan = {};
		struct err err = {};
		if (plan_read(&plan, yaml_parse("plan.yaml", text.data(), n, &err), nullptr, "plan.yaml", &err)) {
			ASSERT_EQ(err.code, ERR_CONFIG) << n;
			ASSERT_EQ(std::string(err.message).find("plan.yaml:"), 0u) << err.message;
			continue;
		}
		read++;
		plan_release(&plan);
	}
	EXPECT_GT(read, 100u);
	EXPECT_LT(read, text.size() / 2);
}

std::string fill(std::string text)
{
	const std::vector<std::pair<std::string, std::string>> required = {
		{"  type:  # REQUIRED", "  type: classification  # REQUIRED"},
		{"  train:  # REQUIRED", "  train: pool.jsonl  # REQUIRED"},
		{"budget:  # REQUIRED", "budget: 2600  # REQUIRED"},
		{"  model_name_or_path:  # REQUIRED: directory of the base", "  model_name_or_path: base  # the base"},
		{"  base_url:  # REQUIRED", "  base_url: https://example.org/v1  # REQUIRED"},
		{"  model:  # REQUIRED", "  model: m  # REQUIRED"},
	};
	for (const auto &[from, to] : required)
		text = with(text, from, to);
	return text;
}

TEST_F(PlanTest, DefaultsFileFilledInIsTheDefaults)
{
	struct err err = {};
	char *text = plan_defaults(&err);
	ASSERT_NE(text, nullptr) << err.message;
	std::string defaults = text;
	free(text);
	EXPECT_EQ(resolved(fill(defaults)), resolved(least));
	Plan unfilled(defaults);
	EXPECT_EQ(unfilled.result, -1);
	EXPECT_NE(std::string(unfilled.err.message).find("'type' is missing in 'task'"), std::string::npos)
		<< unfilled.err.message;
}

TEST_F(PlanTest, DefaultsFileHasEveryKeyAndLeavesThePresetsTheirs)
{
	char *text = plan_defaults(nullptr);
	ASSERT_NE(text, nullptr);
	std::string defaults = text;
	free(text);
	std::istringstream lines(defaults);
	std::vector<std::string> names;
	for (std::string line; std::getline(lines, line);) {
		std::smatch m;
		if (std::regex_match(line, m, std::regex(" *(# )?([a-z_]+):.*  # .*")))
			names.push_back((m[1].matched ? "#" : "") + m[2].str());
	}
	size_t i = 0;
	for (const struct plan_key *key = plan_keys; key->path; key++, i++) {
		bool preset = key->paper || key->authors;
		bool kind = key->kinds && !(key->kinds & 1u << TEACHER_OPENAI);
		ASSERT_LT(i, names.size()) << key->path;
		EXPECT_EQ(names[i], std::string(preset || kind ? "#" : "") + plan_key_name(key));
	}
	EXPECT_EQ(i, names.size());
	std::string authors = with(fill(defaults), "preset: recommended", "preset: authors");
	EXPECT_EQ(resolved(authors), resolved(least + "method: {preset: authors}\n"));
}

struct Wrong {
	std::string text;
	size_t line;
	const char *rule;
};

// Lines of `least`: 1 task, 2 budget, 3 student, 4 teacher, 5 what is added.
const std::vector<Wrong> &wrong_plans()
{
	static const std::string more = task + "budget: 9\n" + student;
	static const std::vector<Wrong> cases = {
		// what is missing
		{"budget: 9\n" + student + teacher, 1, "'task' is missing"},
		{"task: {type: qa}\nbudget: 9\n" + student + teacher, 1, "'train' is missing in 'task'"},
		{"seed: 1\ntask:\n  train: a\nbudget: 9\n" + student + teacher, 2, "'type' is missing in 'task'"},
		{task + student + teacher, 1, "'budget' is missing"},
		{task + "budget: 9\n" + teacher, 1, "'student' is missing"},
		{task + "budget: 9\nstudent: {slots: 3}\n" + teacher, 3,
		 "'model_name_or_path' is missing in 'student'"},
		{more, 1, "'teacher' is missing; method 'baldistill-adaptive'"},
		{more + "teacher: {model: m}\n", 4, "'base_url' is missing in 'teacher'; a teacher of kind 'openai'"},
		{more + "teacher: {base_url: https://a/v1}\n", 4, "'model' is missing"},
		{more + "teacher:\n  kind: local\n", 4, "'model_name_or_path' is missing in 'teacher'"},
		{more + "teacher: {kind: command}\n", 4, "'command' is missing"},
		{more + "teacher: {kind: recorded}\n", 4, "'cassette' is missing"},
		// unknown keys
		{least + "bugdet: 3\n", 5, "unknown key 'bugdet'; did you mean 'budget'?"},
		{least + "zzzzzz: 3\n", 5, "unknown key 'zzzzzz'"},
		{least + "selection:\n  max_tokns: 3\n", 6, "unknown key 'max_tokns'"},
		{"task: {type: qa, train: a, fields: {inptu: x}}\nbudget: 9\n" + student + teacher, 1,
		 "did you mean 'input'?"},
		{least + "learning_rate: 3\n", 5, "'learning_rate' here; it belongs in 'training'"},
		{least + "train: a\n", 5, "it belongs in 'task'"},
		{least + "temperature: 1\n", 5, "it belongs in 'teacher'"},
		{with(least, "base}", "base, seed: 3}"), 3, "it belongs to the top level"},
		{with(least, "model: m", "model: m, annotate: 0"), 4, "it belongs in 'teacher.temperature'"},
		{least + "model: x\n", 5, "'model' is called 'student.model_name_or_path' here"},
		{least + "K: 3\n", 5, "'K' is called 'stages' here"},
		{with(least, "model_name_or_path", "base_model"), 3,
		 "'base_model' is called 'model_name_or_path' here"},
		{with(least, "base_url", "api_base"), 4, "'api_base' is called 'base_url' here"},
		{least + "training:\n  r: 3\n  lora_rank: 8\n", 6, "unknown key 'r'"},
		{least + "training:\n  lora_r: 3\n  lora_rank: 8\n", 7, "'lora_rank' is called 'lora_r' here"},
		{least + "training: {cutoff_len: 8}\n", 5, "'cutoff_len' is called 'max_length' here"},
		// secrets
		{least + "api_key: sk-1\n", 5, "a key never stands in a plan"},
		{with(least, "model: m", "model: m, api_key: sk-1"), 4, "a key never stands in a plan"},
		{more + "teacher:\n  base_url: https://a\n  model: m\n  key: sk-1\n", 7, "teacher.api_key_env"},
		{more + "teacher:\n  base_url: https://a\n  model: m\n  token: sk-1\n", 7,
		 "a key never stands in a plan"},
		{with(least, "model: m", "model: m, extra_body: {api_key: sk-1}"), 4, "a key never stands in a plan"},
		{with(least, "model: m", "model: m, extra_headers: {Authorization: Bearer sk-1}"), 4,
		 "write ${VARIABLE} for it"},
		{with(least, "model: m", "model: m, extra_headers: {Ocp-Apim-Subscription-Key: sk-1}"), 4,
		 "write ${VARIABLE} for it"},
		{with(least, "model: m", "model: m, extra_headers: {X-AccessToken: sk-1}"), 4, "write ${VARIABLE} for it"},
		{least + "training:\n  learning_rate: ${PLAN_TEST_DATA}\n", 6,
		 "'learning_rate' takes no such value as '${PLAN_TEST_DATA}' stands for"},
		// values
		{with(least, "classification", "regression"), 1,
		 "'type' must be one of classification, multiple_choice, math, qa"},
		{with(least, "pool.jsonl", "''"), 1, "'train' is empty"},
		{with(least, "pool.jsonl", "[a]"), 1, "'train' must be a text, found a list"},
		{with(least, "2600", "0"), 2, "'budget' must be an integer from 1"},
		{with(least, "2600", "1099511627777"), 2, "'budget' must be an integer"},
		{with(least, "2600", "26.5"), 2, "'budget' must be an integer"},
		{with(least, "2600", "'2600'"), 2, "found the text '2600'"},
		{with(least, "2600", "{a: 1}"), 2, "found a map"},
		{with(least, "2600", "${PLAN_TEST_UNSET}"), 2, "'PLAN_TEST_UNSET' is not set"},
		{least + "stages: 0\n", 5, "'stages' must be an integer from 1"},
		{least + "stages: 3000\n", 2, "a budget of 2600 is too small for 3000 stages"},
		{least + "seed: -1\n", 5, "'seed' must be an integer"},
		{least + "seed: 9223372036854775808\n", 5, "'seed' must be an integer"},
		{least + "output_dir: {}\n", 5, "'output_dir' must be a text"},
		{least + "method: baldistil\n", 5, "there is no method 'baldistil'"},
		{least + "method: {name: glee}\n", 5, "method 'glee' is not yet here"},
		{least + "method: [a]\n", 5, "'method' must be a map, found a list"},
		{least + "method:\n  preset: fast\n", 6, "'preset' must be one of recommended, paper, authors"},
		{least + "method: {policy_index_base: 2}\n", 5, "an integer from 0 to 1"},
		{least + "method: {replace_unusable: yes}\n", 5, "true or false"},
		{least + "method: {first_stage: 1}\n", 5, "one of random, ifd"},
		{least + "selection: 3\n", 5, "'selection' must be a map"},
		{least + "selection: {candidates_per_domain: some}\n", 5, "'candidates_per_domain' must be an integer"},
		{least + "selection: {candidates_per_domain: 0}\n", 5,
		 "'candidates_per_domain' must be an integer from 1"},
		{with(least, "base}", "base, memory: 8GB}"), 3, "'memory' must be a size"},
		{with(least, "base}", "base, dtype: float16}"), 3, "one of bfloat16, float32"},
		{with(least, "base}", "base, backend: mps}"), 3, "'backend' must be one of"},
		{with(least, "base}", "base, chat_template: alpaca}"), 3,
		 "'chat_template' must be one of none, auto, chatml"},
		{with(least, "base}", "base, slots: 0}"), 3, "'slots' must be"},
		{with(least, "pool.jsonl", "a, domains: []"), 1, "'domains' is empty"},
		{with(least, "pool.jsonl", "a, domains: earn"), 1, "'domains' must be a list"},
		{with(least, "pool.jsonl", "a, domains: [a, b,\n a]"), 2, "'a' stands twice in 'domains'"},
		{with(least, "pool.jsonl", "a, domains: [a, {b: c}]"), 1, "a list of texts"},
		{with(least, "pool.jsonl", "a, domains: [a], head_domains: [b]"), 1, "'b' is none of task.domains"},
		{with(least, "pool.jsonl", "a, head_domains: 50"), 1, "a list of names or {above: N}"},
		{with(least, "pool.jsonl", "a, head_domains: {below: 50}"), 1, "unknown key 'below'"},
		{with(least, "pool.jsonl", "a, head_domains: {above: -1}"), 1, "'above' must be an integer"},
		{with(least, "pool.jsonl", "a, head_domains: {}"), 1, "'above' is missing"},
		{least + "training: 3\n", 5, "keys of training"},
		{least + "training:\n  lora_r: 0\n", 6, "'lora_r'"},
		{least + "training:\n  lora_target_modules:\n    - q_proj\n    - w\n", 8, "q_proj, k_proj"},
		{least + "training: {per_device_train_batch_size: 100000, gradient_accumulation_steps: 11}\n", 5,
		 "1000000 rows"},
		{least + "evaluation: {on: train}\n", 5, "one of test, valid"},
		{least + "evaluation: {bootstrap: -1}\n", 5, "'bootstrap' must be"},
		{least + "export: {merged: 1}\n", 5, "true or false"},
		// texts that would drive a terminal
		{least + "method: \"a\\e[31m\\nb\"\n", 5, "there is no method 'a\\x1B[31m b'"},
		{with(least, "https://example.org/v1", "\"\\e]0;x\""), 4, "found '\\x1B]0;x'"},
		{with(least, "pool.jsonl", "a, domains: [\"a\\n\\e\", \"a\\n\\e\"]"), 1, "'a \\x1B' stands twice"},
		{with(least, "2600", "\"a\\nb\""), 2, "found the text 'a b'"},
		// the teacher
		{more + "teacher: 3\n", 4, "'teacher' must be a map"},
		{more + "teacher: {kind: oracle}\n", 4, "one of openai, local, command, recorded"},
		{more + "teacher:\n  base_url: https://a\n  model: m\n  cassette: c\n", 7,
		 "'cassette' does not belong to a teacher of kind 'openai'"},
		{more + "teacher:\n  kind: recorded\n  cassette: c\n  base_url: https://a\n", 7,
		 "'base_url' does not belong to a teacher of kind 'recorded'"},
		{more + "teacher: {kind: local, model_name_or_path: a,\n  command: [b]}\n", 5,
		 "'command' does not belong to a teacher of kind 'local'"},
		{more + "teacher: {kind: command, command: [b], extra_body: {a: 1}}\n", 4,
		 "'extra_body' does not belong"},
		{more + "teacher: {kind: local, model_name_or_path: a, prices: {input: 1}}\n", 4,
		 "'input' does not belong"},
		{more + "teacher: {kind: command, command: []}\n", 4, "names no program"},
		{more + "teacher: {kind: command, command: ask}\n", 4, "'command' must be a list"},
		{with(least, "https://example.org/v1", "example.org"), 4, "'base_url' must start with https://"},
		{with(least, "https://example.org/v1", "https://"), 4, "names no host"},
		{with(least, "https://example.org/v1", "https://u:p@example.org/v1"), 4, "holds a user or password"},
		{with(least, "model: m", "model: m, max_cost: 3"), 4, "'max_cost' needs both of 'prices'"},
		{with(least, "model: m", "model: m, max_cost: 3, prices: {input: 1}"), 4,
		 "'max_cost' needs both of 'prices'"},
		{with(least, "model: m", "model: m, prices: 3"), 4, "'prices' must be a map"},
		{with(least, "model: m", "model: m, prices: {input: -1}"), 4, "'input' must be a number from 0"},
		{with(least, "model: m", "model: m, temperature: 1"), 4, "'temperature' must be a map"},
		{with(least, "model: m", "model: m, temperature: {annotate: 3}"), 4,
		 "'annotate' must be a number from 0 to 2"},
		{with(least, "model: m", "model: m, temperature: {synthesize: 1}"), 4,
		 "'synthesize' is called 'synthesise' here"},
		{with(least, "model: m", "model: m, max_tokens_key: tokens"), 4,
		 "one of max_tokens, max_completion_tokens"},
		{with(least, "model: m", "model: m, max_completion_tokens: 9"), 4, "is called 'max_tokens, with"},
		{with(least, "model: m", "model: m, timeout: 0"), 4, "'timeout' must be a number from 1"},
		{with(least, "model: m", "model: m, timeout: .inf"), 4, "'timeout' must be a number"},
		{with(least, "model: m", "model: m, max_concurrent_requests: 2000"), 4, "from 1 to 1024"},
		{with(least, "model: m", "model: m, extra_headers: [a]"), 4, "'extra_headers' must be a map"},
		{with(least, "model: m", "model: m, extra_headers: {Host: a}"), 4, "must not hold 'host'"},
		{with(least, "model: m", "model: m, extra_headers: {\"a b\": a}"), 4, "a name is empty or holds"},
		{with(least, "model: m", "model: m, extra_headers: {a: \"b\\nc\"}"), 4, "holds control"},
		{with(least, "model: m", "model: m, extra_headers: {a: ~}"), 4, "'a' must be a text"},
		{with(least, "model: m", "model: m, extra_body: 3"), 4, "'extra_body' must be a map"},
		{with(least, "model: m", "model: m, extra_body: {stream: true}"), 4,
		 "must not hold 'stream'; answers are not streamed"},
		{with(least, "model: m", "model: m, extra_body: {max_tokens: 3}"), 4, "set teacher.max_tokens"},
		{with(least, "model: m", "model: m, extra_body: {\"" + std::string(300, 'k') + "\": 3}"), 4,
		 "more than 256 bytes"},
		// not a plan
		{"- a\n", 1, "must be a map"},
		{"a\n", 1, "must be a map"},
		{"", 1, "the file is empty"},
		{least + "seed: 1\nseed: 2\n", 6, "duplicate key 'seed'"},
	};
	return cases;
}

TEST_F(PlanTest, WrongPlansAreRefusedWithTheirLine)
{
	ASSERT_GE(wrong_plans().size(), 60u);
	for (const Wrong &c : wrong_plans()) {
		Plan p(c.text);
		std::string got = p.err.message, where = p.path + ":" + std::to_string(c.line) + ": ";
		EXPECT_EQ(p.result, -1) << c.text;
		EXPECT_EQ(p.err.code, ERR_CONFIG) << c.text;
		EXPECT_EQ(got.substr(0, where.size()), where) << c.text << "\n" << got;
		EXPECT_NE(got.find(c.rule), std::string::npos) << c.text << "\n" << got;
		EXPECT_EQ(got.find_first_of("\n\x1b"), std::string::npos) << got;
		EXPECT_EQ(got.find("sk-1"), std::string::npos) << got;
		EXPECT_EQ(p.plan.doc, nullptr);
	}
}

TEST_F(PlanTest, FilesThatCannotBeRead)
{
	Temporary dir;
	struct plan plan = {};
	struct err err = {};
	EXPECT_EQ(plan_load(&plan, (dir / "none.yaml").c_str(), &err), -1);
	EXPECT_EQ(err.code, ERR_NOINPUT);
	EXPECT_EQ(plan_load(&plan, dir.path.c_str(), &err), -1);
	EXPECT_EQ(err.code, ERR_NOINPUT);
}

TEST_F(PlanTest, PathsOfAPlanNamedWithoutDirectoryStayAsWritten)
{
	Temporary dir;
	struct plan plan = {};
	struct err err = {};
	write_file(dir / "p.yaml", least);
	std::filesystem::path here = std::filesystem::current_path();
	std::filesystem::current_path(dir.path);
	int result = plan_load(&plan, "p.yaml", &err);
	std::filesystem::current_path(here);
	ASSERT_EQ(result, 0) << err.message;
	EXPECT_STREQ(plan.task.train, "pool.jsonl");
	plan_release(&plan);
}

// ---------------------------------------------------------------- two starts

struct Change {
	const char *from, *to;
	const char *message; /* NULL: allowed */
	const char *moved = nullptr;
};

const char recorded_plan[] = "task: {type: qa, train: a}\nbudget: 90\nstudent: {model_name_or_path: b}\n"
			     "teacher: {kind: recorded, cassette: c}\n";

TEST_F(PlanTest, WhatMayChangeBetweenStarts)
{
	const std::vector<Change> cases = {
		{"budget: 600", "budget: 601", nullptr},
		{"budget: 600", "budget: 599", "'budget' is 599, but this run was begun with 600"},
		{"max_requests_per_minute: 90.5", "", nullptr},
		{"max_tokens_per_minute: 40000", "max_tokens_per_minute: 1", nullptr},
		{"max_concurrent_requests: 4", "max_concurrent_requests: 5", nullptr},
		{"timeout: 30", "timeout: 31", nullptr},
		{"max_tokens: 300", "max_tokens: 301", nullptr},
		{"api_key_file: secret/key", "api_key_file: secret/key\n  ca_file: some.pem", nullptr},
		{"max_wait: 60", "max_wait: 61", nullptr},
		{"max_retries: 0", "max_retries: 1", nullptr},
		{"max_cost: 12.5", "max_cost: 13", nullptr},
		{"max_cost: 12.5", "max_cost: 12.5\n  reuse: cassette.jsonl", nullptr},
		{"\"a b\"", "\"a b\", Idempotency-Key: x", "'teacher.extra_headers'"},
		{"prices: {input: 2.5, output: 10}", "prices: {input: 3, output: 9}", nullptr},
		{"api_key_env:", "api_key_env: OTHER", nullptr},
		{"api_key_file: secret/key", "", nullptr},
		{"memory: 512MiB", "memory: 1GiB", nullptr},
		{"memory: 512MiB", "memory: 524288KiB", nullptr},
		{"learning_rate: 1e-3", "learning_rate: 0.001", nullptr},
		{"lora_target_modules: [k_proj, o_proj]", "lora_target_modules: [o_proj, k_proj]", nullptr},
		{"candidates_per_domain: 50", "candidates_per_domain: all",
		 "'selection.candidates_per_domain' is all, but this run was begun with 50"},
		{"train: data/train.jsonl", "train: data/other.jsonl", nullptr, "task.train"},
		{"type: multiple_choice", "type: math", "'task.type'"},
		{"domains: [Race, Winogrande, SIQA]", "domains: [Race, Winogrande]",
		 "'task.domains' is [Race, Winogrande], but this run was begun with [Race, Winogrande, SIQA]"},
		{"head_domains: [Race]", "head_domains: {above: 3}", "'task.head_domains' is {above: 3}"},
		{"name: baldistill-naive", "name: baldistill-adaptive", "'method.name'"},
		{"preset: paper", "preset: authors", "'method.preset' is authors"},
		{"stages: 3", "stages: 4", "'stages' is 4, but this run was begun with 3"},
		{"dtype: float32", "dtype: bfloat16", "'student.dtype'"},
		{"slots: 8", "slots: 9", "'student.slots' is 9"},
		{"learning_rate: 1e-3", "learning_rate: 1e-4",
		 "'training.learning_rate' is 1e-4, but this run was begun with 1e-3"},
		{"lora_target_modules: [k_proj, o_proj]", "lora_target_modules: [o_proj]",
		 "'training.lora_target_modules'"},
		{"max_grad_norm: 0.5", "max_grad_norm: 0.25", "'training.max_grad_norm'"},
		{"base_url: http://127.0.0.1:8000/v1", "base_url: http://127.0.0.1:8001/v1", "'teacher.base_url'"},
		{"model: some/model", "model: other/model", "'teacher.model'"},
		{"max_tokens_key: max_completion_tokens", "",
		 "'teacher.max_tokens_key' is max_tokens, but this run was begun with max_completion_tokens"},
		{"synthesise: 1", "synthesise: 0.5", "'teacher.temperature.synthesise'"},
		{"\"a b\"", "\"a c\"", "'teacher.extra_headers'"},
		{"seed: 7", "seed: 8", "'teacher.extra_body'"},
		{"text: \"true\"", "text: true", "'teacher.extra_body'"},
		{"bootstrap: 0", "bootstrap: 10", "'evaluation.bootstrap'"},
		{"merged: false", "merged: true", "'export.merged' is true, but this run was begun with false"},
		{"output_dir: out", "output_dir: other", nullptr},
		{"seed: 42", "seed: 43", "'seed' is 43, but this run was begun with 42"},
	};
	Plan before(whole);
	ASSERT_EQ(before.result, 0) << before.err.message;
	for (const Change &c : cases) {
		Plan now(with(whole, c.from, c.to));
		struct plan_changes changes = {true, nullptr};
		struct err err = {};
		ASSERT_EQ(now.result, 0) << now.err.message;
		EXPECT_EQ(plan_compare(&now.plan, before.plan.resolved, &changes, &err), c.message ? -1 : 0)
			<< c.to << "\n" << err.message;
		EXPECT_EQ(err.code, c.message ? ERR_CONFIG : 0) << c.to;
		EXPECT_NE(std::string(err.message).find(c.message ? c.message : ""), std::string::npos) << err.message;
		EXPECT_FALSE(changes.backend);
		EXPECT_STREQ(changes.moved, c.moved) << c.to;
		bool grows = c.message && std::string(c.message).find("'budget'") == 0;
		EXPECT_EQ(hash_of(now) == hash_of(before), !c.message || grows) << c.to;
	}
}

/* A key that is renewed is the same run's; the variable that holds it says which it is. */
TEST(PlanCompare, ASecretMayChange)
{
	setenv("PLAN_TEST_SECRET", "s3cret", 1);
	setenv("PLAN_TEST_OTHER", "s3cret", 1);
	Plan before(whole);
	ASSERT_EQ(before.result, 0) << before.err.message;
	setenv("PLAN_TEST_SECRET", "n3wer", 1);
	Plan now(whole), other(with(whole, "${PLAN_TEST_SECRET}", "${PLAN_TEST_OTHER}"));
	ASSERT_EQ(now.result, 0) << now.err.message;
	ASSERT_EQ(other.result, 0) << other.err.message;
	EXPECT_STREQ(now.plan.teacher.extra_headers.pair[1].value, "n3wer");
	EXPECT_TRUE(now.plan.teacher.extra_headers.pair[1].secret);
	EXPECT_FALSE(now.plan.teacher.extra_headers.pair[0].secret);
	EXPECT_EQ(hash_of(now), hash_of(before));
	EXPECT_NE(hash_of(other), hash_of(before));
	setenv("PLAN_TEST_SECRET", "s3cret", 1);
}

TEST_F(PlanTest, AChangedBackendIsTold)
{
	Plan before(whole), now(with(whole, "backend: reference", "backend: openblas"));
	struct plan_changes changes = {};
	struct err err = {};
	ASSERT_EQ(now.result, 0) << now.err.message;
	EXPECT_EQ(plan_compare(&now.plan, before.plan.resolved, &changes, &err), 0) << err.message;
	EXPECT_TRUE(changes.backend);
	EXPECT_EQ(hash_of(now), hash_of(before));
}

TEST_F(PlanTest, AnotherKindOfTeacherIsAnotherRun)
{
	Plan before(recorded_plan),
		now(with(recorded_plan, "kind: recorded, cassette: c", "kind: local, model_name_or_path: c"));
	struct plan_changes changes;
	struct err err = {};
	ASSERT_EQ(before.result, 0) << before.err.message;
	ASSERT_EQ(now.result, 0) << now.err.message;
	EXPECT_EQ(plan_compare(&now.plan, before.plan.resolved, &changes, &err), -1);
	EXPECT_NE(std::string(err.message).find("'teacher.kind' is local, but this run was begun with recorded"),
		  std::string::npos)
		<< err.message;
	EXPECT_NE(hash_of(now), hash_of(before));
}

TEST_F(PlanTest, ARunsOwnPlanThatIsDamagedIsNamed)
{
	Plan now(least);
	struct plan_changes changes;
	struct err err = {};
	EXPECT_EQ(plan_compare(&now.plan, "task: {}\n", &changes, &err), -1);
	EXPECT_EQ(err.code, ERR_CONFIG);
	EXPECT_EQ(std::string(err.message).find("the run's own plan.yaml:1: "), 0u) << err.message;
}

// A path is what is written: the same plan in another directory is the same run's.
TEST_F(PlanTest, HashDoesNotHangOnWhereThePlanLies)
{
	Plan one(least), other(least, "other.yaml"), quoted(with(least, "pool.jsonl", "'pool.jsonl'"));
	EXPECT_EQ(hash_of(one), hash_of(other));
	EXPECT_EQ(hash_of(one), hash_of(quoted));
	EXPECT_EQ(hash_of(one), hash_of(Plan(resolved(least))));
}

// ---------------------------------------------------------------- the manual

TEST_F(PlanTest, TheManualHasEveryKeyWithItsDefault)
{
	const char *source = getenv("TEST_SRCDIR");
	ASSERT_NE(source, nullptr);
	std::istringstream page(read_file(std::string(source) + "/man/baldistill-plan.5"));
	std::map<std::string, std::string> manual, table;
	std::smatch m;
	for (std::string line; std::getline(page, line);) {
		if (!std::regex_match(line, m, std::regex("^\\.BI? \"([a-z_.]+): ?\"(.*)$")))
			continue;
		std::string value = std::regex_replace(m[2].str(), std::regex("^ *\"?|\"?$"), "");
		value = std::regex_replace(value, std::regex("\\\\-"), "-");
		EXPECT_TRUE(manual.emplace(m[1].str(), value).second) << line;
	}
	for (const struct plan_key *key = plan_keys; key->path; key++)
		table[key->path] = key->value ? key->value : "";
	EXPECT_EQ(manual, table);
}

TEST_F(PlanTest, TheManualsExampleLoads)
{
	const char *source = getenv("TEST_SRCDIR");
	ASSERT_NE(source, nullptr);
	std::string page = read_file(std::string(source) + "/man/baldistill-plan.5");
	size_t begin = page.find(".SH EXAMPLE"), end;
	ASSERT_NE(begin, std::string::npos);
	begin = page.find(".nf\n", begin) + 4;
	end = page.find(".fi\n", begin);
	ASSERT_NE(end, std::string::npos);
	std::string text = std::regex_replace(page.substr(begin, end - begin), std::regex("\\\\-"), "-");
	EXPECT_GT(text.size(), 500u);
	Plan p(text);
	EXPECT_EQ(p.result, 0) << p.err.message;
}

} // namespace
