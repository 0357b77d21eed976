// SPDX-License-Identifier: Apache-2.0
/*
 * local_question.h - a request's body as a row for our own engine, and an
 * engine's completion as the reply that a server would have sent.
 */
#ifndef BALDISTILL_PIPELINE_LOCAL_QUESTION_H
#define BALDISTILL_PIPELINE_LOCAL_QUESTION_H

#include "src/base/jsonio.h"
#include "src/student/generate.h"
#include "src/student/student.h"
#include "src/teacher/teacher.h"

struct local_question {
	uint64_t tag, id;       /* id: names its random numbers, by what is asked alone */
	struct example_ids example; /* its prompt as ids */
	double temperature, top_p;
	int64_t max_tokens;     /* 0: not said */
	struct teacher_slot *slot;
};

/*
 * Read the body that teacher_request_write made: ERR_DATA where it is none or
 * the model's chat family cannot render it, ERR_MEMORY. Without a family the
 * messages' texts are the prompt, empty lines between them.
 */
int local_question_read(struct local_question *out, struct student *student, const struct teacher_question *question,
			struct err *err);
void local_question_release(struct local_question *question);

/* A chat completion of one choice. */
void local_answer_put(struct json_writer *w, const char *text, size_t n, const struct local_question *question,
		      const struct generated *generated);

#endif
