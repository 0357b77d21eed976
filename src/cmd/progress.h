// SPDX-License-Identifier: Apache-2.0
/* progress.h - progress on standard error, for every command with long work. */
#ifndef BALDISTILL_CMD_PROGRESS_H
#define BALDISTILL_CMD_PROGRESS_H

#include "src/base/progress.h"

/* One line rewritten on a terminal, plain lines elsewhere, nothing where quiet. */
struct progress_output progress_of(bool quiet);

#endif
