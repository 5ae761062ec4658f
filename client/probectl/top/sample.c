#include "client/probectl/top/sample.h"

void sample_fini(struct sample *sample)
{
    for (int part = 0; part < SAMPLE_PART_COUNT; part++) {
        protobuf_c_message_free_unpacked(sample->answers[part], NULL);
        sample->answers[part] = NULL;
    }
}
