/* What the daemon said of itself at one moment: the answers to four questions, each there or with the reason why not.
 *
 * Ownership: the answers are the sample's; sample_fini() frees what nobody took out of it.  Threads: one at a time. */
#ifndef CLIENT_PROBECTL_TOP_SAMPLE_H
#define CLIENT_PROBECTL_TOP_SAMPLE_H

#include <probed/client.h>

enum sample_part { SAMPLE_STATUS, SAMPLE_HOMES, SAMPLE_WORKERS, SAMPLE_EVENTS, SAMPLE_PART_COUNT };

struct sample {
    struct probed_status outcomes[SAMPLE_PART_COUNT];
    ProtobufCMessage *answers[SAMPLE_PART_COUNT]; /* owned; NULL unless the outcome is OK */
};

void sample_fini(struct sample *sample);

#endif
