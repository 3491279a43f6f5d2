// Engram: everything. Start reading at store.h.
#ifndef ENGRAM_ENGRAM_H_
#define ENGRAM_ENGRAM_H_

#include "engram/options.h"
#include "engram/store.h"
#include "engram/types.h"
#include "engram/version.h"
#include "engram/write_batch.h"

#endif  // ENGRAM_ENGRAM_H_
