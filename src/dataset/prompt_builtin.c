// SPDX-License-Identifier: Apache-2.0
/* The templates of data/prompts, so that the program needs no file of its own at run time; a test keeps both equal. */
#include "src/dataset/prompt.h"

static const char *const builtin[ANSWER_TYPES][PROMPT_KINDS] = {
	[ANSWER_CLASS][PROMPT_ANNOTATE_GOLD] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Decide to which one of the listed classes the text below belongs.\n"
		"\n"
		"Classes: {domains}\n"
		"\n"
		"Text:\n"
		"{input}\n"
		"\n"
		"The class of this text is: {label}\n"
		"\n"
		"Explain in a few sentences, step by step, which parts of the text lead to this class. Write for "
		"a reader who has not been told the class. End with one sentence of the form \"The answer is "
		"CLASS.\", with the class as given.\n",
	[ANSWER_CLASS][PROMPT_ANNOTATE] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Decide to which one of the listed classes the text below belongs.\n"
		"\n"
		"Classes: {domains}\n"
		"\n"
		"Text:\n"
		"{input}\n"
		"\n"
		"Think step by step: say in a few sentences which parts of the text speak for a class, and weigh "
		"them. End with one sentence of the form \"The answer is CLASS.\", with exactly one class "
		"spelled as in the list.\n",
	[ANSWER_CLASS][PROMPT_SYNTHESISE] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Here are examples of texts of the class \"{domain}\", some with the reasoning that leads to the "
		"class.\n"
		"\n"
		"{demonstrations}\n"
		"\n"
		"Write one new example of the class \"{domain}\". Its text is to be of the same kind, length and "
		"style as those above, but about something else: new people, places, figures and events, no "
		"sentence taken over. Then reason step by step, in a few sentences, from the text to its class.\n"
		"\n"
		"Use exactly this form, with nothing before or after it:\n"
		"Input: the new text\n"
		"Rationale: the reasoning\n"
		"Answer: {domain}\n",
	[ANSWER_CLASS][PROMPT_STUDENT] = "# SPDX-License-Identifier: Apache-2.0\n"
					 "Decide to which one of these classes the text belongs: {domains}.\n"
					 "Think step by step and end with \"The answer is CLASS.\"\n"
					 "\n"
					 "Text: {input}\n"
					 "Reasoning:\n",
	[ANSWER_CHOICE][PROMPT_ANNOTATE_GOLD] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Answer the question by one of its choices.\n"
		"\n"
		"Question:\n"
		"{input}\n"
		"\n"
		"Choices:\n"
		"{choices}\n"
		"\n"
		"The right choice is: {label}\n"
		"\n"
		"Explain in a few sentences, step by step, how one comes to this choice and why the others do "
		"not fit. Write for a reader who has not been told which choice is right. End with one sentence "
		"of the form \"The answer is LETTER.\", such as \"The answer is (B).\"\n",
	[ANSWER_CHOICE][PROMPT_ANNOTATE] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Answer the question by one of its choices.\n"
		"\n"
		"Question:\n"
		"{input}\n"
		"\n"
		"Choices:\n"
		"{choices}\n"
		"\n"
		"Think step by step: say in a few sentences what the question asks and which choice fits it "
		"best. End with one sentence that names the letter of exactly one choice, such as \"The answer "
		"is (B).\"\n",
	[ANSWER_CHOICE][PROMPT_SYNTHESISE] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Here are examples of multiple-choice questions of the kind \"{domain}\", some with the "
		"reasoning that leads to the answer.\n"
		"\n"
		"{demonstrations}\n"
		"\n"
		"Write one new question of the kind \"{domain}\". It is to ask for the same sort of knowledge or "
		"reasoning, as hard and as long as those above, but about something else, with as many choices, "
		"exactly one of them right. Then reason step by step, in a few sentences, to the right choice.\n"
		"\n"
		"Use exactly this form, with nothing before or after it:\n"
		"Input: the new question\n"
		"Choices:\n"
		"A. the first choice\n"
		"B. the second choice, and so on\n"
		"Rationale: the reasoning\n"
		"Answer: the letter of the right choice\n",
	[ANSWER_CHOICE][PROMPT_STUDENT] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Answer the question by one of its choices.\n"
		"Think step by step and end with the letter of the choice, such as \"The answer is (B).\"\n"
		"\n"
		"Question: {input}\n"
		"Choices:\n"
		"{choices}\n"
		"Reasoning:\n",
	[ANSWER_MATH][PROMPT_ANNOTATE_GOLD] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Solve the problem below.\n"
		"\n"
		"Problem:\n"
		"{input}\n"
		"\n"
		"The final answer is: {label}\n"
		"\n"
		"Write a solution that derives this answer step by step, each step following from the ones "
		"before, without referring to the answer in advance. End with one sentence of the form \"The "
		"answer is RESULT.\", with the result written as above.\n",
	[ANSWER_MATH][PROMPT_ANNOTATE] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Solve the problem below.\n"
		"\n"
		"Problem:\n"
		"{input}\n"
		"\n"
		"Work step by step, each step following from the ones before. End with one sentence of the form "
		"\"The answer is RESULT.\", with nothing but the result in its simplest form.\n",
	[ANSWER_MATH][PROMPT_SYNTHESISE] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Here are examples of problems from {domain}, some with their solutions.\n"
		"\n"
		"{demonstrations}\n"
		"\n"
		"Write one new problem from {domain}. It is to be as hard as those above and to have one "
		"definite answer, but to ask for something else, with other figures and another setting. Then "
		"solve it step by step, and check the result.\n"
		"\n"
		"Use exactly this form, with nothing before or after it:\n"
		"Input: the new problem\n"
		"Rationale: the solution\n"
		"Answer: nothing but the result in its simplest form\n",
	[ANSWER_MATH][PROMPT_STUDENT] = "# SPDX-License-Identifier: Apache-2.0\n"
					"Solve the problem.\n"
					"Think step by step and end with \"The answer is RESULT.\"\n"
					"\n"
					"Problem: {input}\n"
					"Solution:\n",
	[ANSWER_QA][PROMPT_ANNOTATE_GOLD] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Answer the question below; where a passage comes with it, from that passage.\n"
		"\n"
		"Question:\n"
		"{input}\n"
		"\n"
		"A correct answer is: {label}\n"
		"\n"
		"Explain in a few sentences, step by step, how one comes to this answer. Write for a reader who "
		"has not been told it. End with one sentence of the form \"The answer is ANSWER.\", with the "
		"answer as short as above.\n",
	[ANSWER_QA][PROMPT_ANNOTATE] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Answer the question below; where a passage comes with it, from that passage.\n"
		"\n"
		"Question:\n"
		"{input}\n"
		"\n"
		"Think step by step in a few sentences. End with one sentence of the form \"The answer is "
		"ANSWER.\", the answer being as short as it can be.\n",
	[ANSWER_QA][PROMPT_SYNTHESISE] =
		"# SPDX-License-Identifier: Apache-2.0\n"
		"Here are examples of questions of the kind \"{domain}\", with their answers, some with the "
		"reasoning that leads to them.\n"
		"\n"
		"{demonstrations}\n"
		"\n"
		"Write one new question of the kind \"{domain}\", with a passage of the same length wherever the "
		"examples have one. It is to ask for the same sort of reasoning, as hard as those above, but "
		"about something else, and to have one short answer. Then reason step by step, in a few "
		"sentences, to this answer.\n"
		"\n"
		"Use exactly this form, with nothing before or after it:\n"
		"Input: the new question, with its passage if there is one\n"
		"Rationale: the reasoning\n"
		"Answer: the short answer\n",
	[ANSWER_QA][PROMPT_STUDENT] = "# SPDX-License-Identifier: Apache-2.0\n"
				      "Answer the question, from the passage where one is given.\n"
				      "Think step by step and end with \"The answer is ANSWER.\"\n"
				      "\n"
				      "Question: {input}\n"
				      "Reasoning:\n",
};

const char *prompt_builtin(enum answer_type type, enum prompt_kind kind)
{
	return builtin[type][kind];
}
