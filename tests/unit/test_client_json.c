/* unit.client_json: messages as proto3's JSON, to the byte.  That stock protobuf reads them as the same messages is
 * unit.client_json_roundtrip, which this program serves with samples: "test_client_json --samples COUNT". */
#include "client/probectl/json.h"
#include "gen/probed/v1/probe.pb-c.h"
#include "tests/support/check_main.h"
#include "tests/unit/gen/every_type.pb-c.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(literal) ((char *)(uintptr_t)(literal))

static void expect(const ProtobufCMessage *message, const char *text)
{
    char *printed;
    size_t size;
    FILE *out = open_memstream(&printed, &size);

    json_print(out, message);
    fclose(out);
    ck_assert_str_eq(printed, text);
    free(printed);
}

/* ---- claims ---- */

START_TEST(what_has_its_default_value_is_left_out)
{
    Every__Every message = EVERY__EVERY__INIT;

    expect(&message.base, "{}");
}
END_TEST

START_TEST(each_type_is_printed_as_the_mapping_says)
{
    Every__Every message = EVERY__EVERY__INIT;
    Every__Inner inner = EVERY__INNER__INIT;

    message.a_double = 0.1;
    message.a_float = 0.1f;
    message.an_int32 = INT32_MIN;
    message.an_int64 = INT64_MIN;
    message.a_uint32 = UINT32_MAX;
    message.a_uint64 = UINT64_MAX;
    message.a_sint32 = -1;
    message.a_sint64 = -1;
    message.a_fixed32 = 1;
    message.a_fixed64 = 1;
    message.an_sfixed32 = -2;
    message.an_sfixed64 = -2;
    message.a_bool = true;
    message.a_string = TEXT("x");
    message.some_bytes = (ProtobufCBinaryData){5, (uint8_t *)TEXT("\x00\xff\x10\x80z")};
    message.a_colour = EVERY__COLOUR__COLOUR_NEGATIVE;
    message.an_inner = &inner;
    expect(&message.base,
           "{\"a_double\":0.1,\"a_float\":0.1,\"an_int32\":-2147483648,\"an_int64\":\"-9223372036854775808\","
           "\"a_uint32\":4294967295,\"a_uint64\":\"18446744073709551615\",\"a_sint32\":-1,\"a_sint64\":\"-1\","
           "\"a_fixed32\":1,\"a_fixed64\":\"1\",\"an_sfixed32\":-2,\"an_sfixed64\":\"-2\",\"a_bool\":true,"
           "\"a_string\":\"x\",\"some_bytes\":\"AP8QgHo=\",\"a_colour\":\"COLOUR_NEGATIVE\",\"an_inner\":{}}");
}
END_TEST

static const struct {
    double value;
    const char *text;
} numbers[] = {
    {58, "58"},
    {12.5, "12.5"},
    {1.0 / 3, "0.3333333333333333"},
    {0.1 + 0.2, "0.30000000000000004"},
    {1e300, "1e+300"},
    {5e-324, "4.94065645841247e-324"},
    {-0.0, "-0"},
    {(double)NAN, "\"NaN\""},
    {(double)INFINITY, "\"Infinity\""},
    {(double)-INFINITY, "\"-Infinity\""},
};

START_TEST(a_number_is_the_shortest_that_reads_back_the_same)
{
    Every__Every message = EVERY__EVERY__INIT;
    char text[64];

    message.a_double = numbers[_i].value;
    snprintf(text, sizeof text, "{\"a_double\":%s}", numbers[_i].text);
    expect(&message.base, text);
}
END_TEST

START_TEST(a_member_of_a_oneof_that_is_set_is_printed_even_when_it_is_zero)
{
    Probed__V1__UsageWindow window = PROBED__V1__USAGE_WINDOW__INIT;
    Every__Every message = EVERY__EVERY__INIT;

    expect(&window.base, "{}");
    window.used_case = PROBED__V1__USAGE_WINDOW__USED_USED_PERCENT;
    window.remaining_case = PROBED__V1__USAGE_WINDOW__REMAINING_REMAINING_PERCENT;
    window.remaining_percent = 100;
    expect(&window.base, "{\"used_percent\":0,\"remaining_percent\":100}");
    message.choice_case = EVERY__EVERY__CHOICE_CHOSEN_STRING;
    message.chosen_string = TEXT("");
    expect(&message.base, "{\"chosen_string\":\"\"}");
}
END_TEST

START_TEST(an_enum_value_without_a_name_is_its_number)
{
    Every__Every message = EVERY__EVERY__INIT;

    message.a_colour = (Every__Colour)77;
    expect(&message.base, "{\"a_colour\":77}");
}
END_TEST

START_TEST(strings_are_escaped_for_json_and_for_terminals)
{
    Every__Every message = EVERY__EVERY__INIT;

    message.a_string = TEXT("\"\\/\n\r\t\x01\x1f\x7f\xc2\x9b \u00e9 \u2028\u202e\u2066 \u061c\u200e\ufeff \U0001f600");
    expect(&message.base, "{\"a_string\":\"\\\"\\\\/\\n\\u000d\\u0009\\u0001\\u001f\\u007f\\u009b \u00e9 "
                          "\\u2028\\u202e\\u2066 \\u061c\\u200e\\ufeff \U0001f600\"}");
}
END_TEST

START_TEST(bytes_of_every_length_are_base64)
{
    static const char *const texts[] = {"\"\"", "\"eA==\"", "\"eHk=\"", "\"eHl6\"", "\"eHl6eA==\""};
    Every__Every message = EVERY__EVERY__INIT;
    ProtobufCBinaryData bytes = {(size_t)_i, (uint8_t *)TEXT("xyzx")};
    char text[64];

    message.bytes_list = &bytes;
    message.n_bytes_list = 1;
    snprintf(text, sizeof text, "{\"bytes_list\":[%s]}", texts[_i]);
    expect(&message.base, text);
}
END_TEST

START_TEST(what_repeats_is_an_array)
{
    Every__Every message = EVERY__EVERY__INIT;
    Every__Inner one = EVERY__INNER__INIT, two = EVERY__INNER__INIT, *inners[] = {&one, &two};
    char *strings[] = {TEXT(""), TEXT("b")};
    int64_t int64s[] = {0, -7};
    protobuf_c_boolean bools[] = {false, true};

    two.number = 3;
    message.inners = inners;
    message.n_inners = 2;
    message.strings = strings;
    message.n_strings = 2;
    message.int64s = int64s;
    message.n_int64s = 2;
    message.bools = bools;
    message.n_bools = 2;
    expect(&message.base, "{\"int64s\":[\"0\",\"-7\"],\"bools\":[false,true],\"strings\":[\"\",\"b\"],"
                          "\"inners\":[{},{\"number\":3}]}");
}
END_TEST

/* ---- samples ---- */

static uint64_t random_state;

static uint64_t random_bits(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random_state >> 33 ^ random_state << 11;
}

static char *random_text(void)
{
    static const char *const parts[] = {"a",        "\"",     "\\",     "\n",         "\x01", "\x7f",
                                        "\xc2\x85", "\u00e9", "\u2028", "\U0001f600", "/"};
    char *text = calloc(1, 64);

    for (uint64_t i = random_bits() % 6; text != NULL && i > 0; i--)
        strcat(text, parts[random_bits() % (sizeof parts / sizeof parts[0])]);
    return text;
}

static double random_double(void)
{
    static const double odd[] = {0, 1, 0.1, 1e300, -5e-324, 12.5, 4294967296.0};
    double value;
    uint64_t bits = random_bits() << 32 ^ random_bits();

    if (bits % 2 == 0)
        return odd[random_bits() % (sizeof odd / sizeof odd[0])];
    memcpy(&value, &bits, sizeof value);
    return isnan(value) ? (double)INFINITY : value; /* NaN is not equal to itself: it has a claim of its own */
}

static void fill_message(ProtobufCMessage *message, unsigned depth);

/* Fills one value with what its type can hold; memory is left to the end of the program. */
static void fill_value(const ProtobufCFieldDescriptor *field, void *member, unsigned depth)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)member = random_text();
        break;
    case PROTOBUF_C_TYPE_BYTES:
        ((ProtobufCBinaryData *)member)->data = (uint8_t *)random_text();
        ((ProtobufCBinaryData *)member)->len = strlen((char *)((ProtobufCBinaryData *)member)->data);
        break;
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessageDescriptor *descriptor = field->descriptor;
        ProtobufCMessage *inner = calloc(1, descriptor->sizeof_message);

        descriptor->message_init(inner);
        fill_message(inner, depth + 1);
        *(ProtobufCMessage **)member = inner;
        break;
    }
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumDescriptor *descriptor = field->descriptor;

        *(int *)member = descriptor->values[random_bits() % descriptor->n_values].value;
        break;
    }
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)member = random_bits() % 2 == 0;
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)member = random_double();
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        *(float *)member = (float)random_bits() / 1024;
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        *(uint64_t *)member = random_bits() << (random_bits() % 64);
        break;
    default:
        *(uint32_t *)member = (uint32_t)(random_bits() >> (random_bits() % 32));
    }
}

/* Room for any value, several times. */
enum { VALUE_SIZE_MAX = sizeof(ProtobufCBinaryData), VALUE_COUNT_MAX = 3 };

static size_t stride_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return 8;
    default:
        return 4;
    }
}

static void fill_message(ProtobufCMessage *message, unsigned depth)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        char *base = (char *)message;

        if (random_bits() % 2 == 0 || (depth > 4 && field->type == PROTOBUF_C_TYPE_MESSAGE))
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count = random_bits() % VALUE_COUNT_MAX + 1;
            char *values = calloc(count, VALUE_SIZE_MAX);

            for (size_t j = 0; j < count; j++)
                fill_value(field, values + j * stride_of(field->type), depth);
            memcpy(base + field->offset, &values, sizeof values);
            memcpy(base + field->quantifier_offset, &count, sizeof count);
        } else {
            if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
                memcpy(base + field->quantifier_offset, &field->id, sizeof field->id);
            fill_value(field, base + field->offset, depth);
        }
    }
}

/* One line a sample: the message's name, its packed bytes in hexadecimal ("-": none), its JSON. */
static void print_sample(const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = calloc(1, descriptor->sizeof_message);
    uint8_t *packed;
    size_t size;

    descriptor->message_init(message);
    fill_message(message, 0);
    size = protobuf_c_message_get_packed_size(message);
    packed = malloc(size + 1);
    protobuf_c_message_pack(message, packed);
    printf("%s %s", descriptor->name, size == 0 ? "-" : "");
    for (size_t i = 0; i < size; i++)
        printf("%02x", packed[i]);
    putchar(' ');
    json_print(stdout, message);
    putchar('\n');
}

static int print_samples(int count)
{
    for (int i = 0; i < count; i++) {
        random_state = (uint64_t)i;
        print_sample(&every__every__descriptor);
        print_sample(&probed__v1__probe_response__descriptor);
        print_sample(&probed__v1__heartbeat__descriptor);
    }
    fflush(stdout);
    _Exit(0); /* samples are not freed one by one */
}

int main(int argc, char **argv)
{
    Suite *suite;
    TCase *tests;

    if (argc == 3 && strcmp(argv[1], "--samples") == 0)
        return print_samples(atoi(argv[2]));
    suite = suite_create("client_json");
    tests = tcase_create("mapping");
    tcase_add_test(tests, what_has_its_default_value_is_left_out);
    tcase_add_test(tests, each_type_is_printed_as_the_mapping_says);
    tcase_add_loop_test(tests, a_number_is_the_shortest_that_reads_back_the_same, 0,
                        sizeof numbers / sizeof numbers[0]);
    tcase_add_test(tests, a_member_of_a_oneof_that_is_set_is_printed_even_when_it_is_zero);
    tcase_add_test(tests, an_enum_value_without_a_name_is_its_number);
    tcase_add_test(tests, strings_are_escaped_for_json_and_for_terminals);
    tcase_add_loop_test(tests, bytes_of_every_length_are_base64, 0, 5);
    tcase_add_test(tests, what_repeats_is_an_array);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
