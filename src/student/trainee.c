// SPDX-License-Identifier: Apache-2.0
/* What is trained: an adapter on frozen weights, or all weights. */
#include "src/student/train.h"

static int open_adapter(struct trainee *t, const struct train_kind *kind, struct err *err)
{
	t->adapter = kind->init_adapter ? adapter_load(t->model, kind->init_adapter, err)
					: adapter_new(t->model, &kind->lora, err);
	if (!t->adapter)
		return -1;
	adapter_set_dropout(t->adapter, kind->lora.dropout);
	if (!kind->init_adapter && adapter_init(t->adapter, kind->seed, err))
		return -1;
	if (adapter_add(t->adapter, &t->params, err) || parameters_make(&t->params, err))
		return -1;
	adapter_bind(t->adapter, &t->params);
	adapter_attach(t->adapter);
	return 0;
}

/* Told before anything of it is taken. */
static int check_full(struct model *m, uint64_t memory, struct err *err)
{
	uint64_t need = m->stored + m->dev->prepared + full_bytes(m);
	if (!memory || need <= memory)
		return 0;
	return err_set(err, ERR_MEMORY, "full fine-tuning needs %llu MiB for weights, gradients and moments alone, more than the "
		       "%llu MiB allowed; raise the bound, or train an adapter (finetuning_type lora)",
		       (unsigned long long)(need >> 20), (unsigned long long)(memory >> 20));
}

static int open_full(struct trainee *t, uint64_t memory, struct err *err)
{
	if (check_full(t->model, memory, err))
		return -1;
	t->full = full_new(t->model, &t->params, err);
	if (!t->full || parameters_make(&t->params, err))
		return -1;
	full_bind(t->full, &t->params);
	return 0;
}

int trainee_open(struct trainee *trainee, struct model *model, const struct train_kind *kind, struct err *err)
{
	*trainee = (struct trainee){.model = model};
	parameters_init(&trainee->params, model->dev);
	if (!(kind->full ? open_full(trainee, kind->memory, err) : open_adapter(trainee, kind, err)))
		return 0;
	trainee_close(trainee);
	return -1;
}

void trainee_close(struct trainee *trainee)
{
	adapter_free(trainee->adapter);
	full_free(trainee->full);
	if (trainee->params.dev)
		parameters_release(&trainee->params);
	*trainee = (struct trainee){0};
}
