// SPDX-License-Identifier: Apache-2.0
/* The one object that a module exports; not part of programs that link the backend. */
#include "backends/onednn/onednn.h"

extern const struct backend baldistill_backend;
const struct backend baldistill_backend = ONEDNN_BACKEND;
