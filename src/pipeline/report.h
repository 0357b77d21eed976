// SPDX-License-Identifier: Apache-2.0
/*
 * report.h - report.html of a run, from the files of its directory alone.
 *
 * One file, no script, nothing remote, no clock time: the headline with
 * intervals, scores over the domains' shares, allocation and learning curve
 * over the stages, spend and drops, examples of synthetic rows, settings and
 * versions. Read are plan.yaml, status.json, metrics.json, and of every stage
 * allocation.json, collected.json, metrics.json, train.jsonl; what is not
 * there yet is left out, so it can be made of an unfinished run too.
 *
 * Every text from outside is escaped. Failures: ERR_NOINPUT where the
 * directory is no run, ERR_DATA with the file for one that is damaged, those
 * of file.h.
 */
#ifndef BALDISTILL_PIPELINE_REPORT_H
#define BALDISTILL_PIPELINE_REPORT_H

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes DIRECTORY/report.html, or `path` where it is not NULL. version: of the program, shown among the settings. */
int report_write(const char *directory, const char *path, const char *version, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
