// SPDX-License-Identifier: Apache-2.0
/*
 * signals.h - SIGINT, SIGTERM and SIGHUP while a run may have paid requests in flight.
 *
 * Until paid requests are in flight the first signal ends the process at once
 * with status 75: what is on disk is enough to go on from. While they are, it
 * is counted and the run waits for them; a second one ends with 128 + its
 * number. SIGPIPE and SIGXFSZ are ignored: a server that hangs up, or a limit of
 * the file size, is an error like any other.
 */
#ifndef BALDISTILL_CMD_SIGNALS_H
#define BALDISTILL_CMD_SIGNALS_H

#include "src/pipeline/voice.h"

void signals_catch(struct voice *voice);

#endif
