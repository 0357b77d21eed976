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

static int open_full(struct trainee *t, struct err *err)
{
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
	if (!(kind->full ? open_full(trainee, err) : open_adapter(trainee, kind, err)))
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
