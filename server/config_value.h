/* What a value is: from text to a member of struct config and back, by the type of its row.
 *
 * It knows nothing of files, flags or line numbers; a refusal says what is wrong with the value, the caller where it
 * stood.  Lists are words, split as a shell splits them (quotes and backslashes, no expansion), so that what is printed
 * reads back as the same.
 *
 * Ownership: members point to memory of the config; config_value_clear gives it back.
 * Threads:   one at a time. */
#ifndef SERVER_CONFIG_VALUE_H
#define SERVER_CONFIG_VALUE_H

#include "server/base/text.h"
#include "server/config.h"
#include "server/config_table.h"

enum { CONFIG_VALUE_SIZE_MAX = 65536, CONFIG_WORD_COUNT_MAX = 4096 };

/* Sets the member; to a list it appends.  INVALID_ARGUMENT or RESOURCE_EXHAUSTED with the reason alone ("0 is below
 * 1"); a list may have grown by some words then. */
MUST_USE struct status config_value_set(const struct config_row *row, struct config *config, const char *text);

/* Adds one word as it stands, checked by the row's type. */
MUST_USE struct status config_value_add_word(const struct config_row *row, struct config *config, const char *word);

/* Gives back the member's memory and zeroes it. */
void config_value_clear(const struct config_row *row, struct config *config);

bool config_type_is_list(enum config_type type);
size_t config_value_word_count(const struct config_row *row, const struct config *config);

/* A number, or a name that the system's user files know.  INVALID_ARGUMENT with the reason. */
MUST_USE struct status config_value_find_uid(const char *text, uint32_t *uid_out);

/* Adds the value to `out` as it could be written, on one line. */
void config_value_show(const struct config_row *row, const struct config *config, struct text *out);

/* Exchanges the two members. */
void config_value_swap(const struct config_row *row, struct config *one, struct config *other);

/* Prints "key = value" lines from which config_value_set makes the same value. */
void config_value_print(const struct config_row *row, const struct config *config, FILE *out);

#endif
