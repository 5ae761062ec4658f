/* dialogue: the test plays the worker on the other ends of two pipes. */
#include "server/work/dialogue.h"

#include "server/base/clock.h"
#include "tests/support/check_main.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECRET "sk-never-in-a-message"

enum { LINE_SIZE_MAX = 1000, LARGE_SIZE = 300000 };

static const uint64_t patience_ns = 20 * NS_PER_S; /* no test waits so long unless it fails */

/* ---- the worker's side ---- */

struct peer {
    struct worker_channel channel; /* the dialogue's ends */
    int request_fd, answer_fd;     /* the worker's ends */
    pthread_t thread;
    void (*act)(struct peer *peer);
    size_t request_size;  /* what it has read so far */
    size_t written_count; /* by a babbler */
    uint64_t deadline_ns;
    int gone_fd;
};

static struct peer peer;

static void setup(void)
{
    int request[2], answer[2];
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGPIPE); /* as main does */
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    ck_assert_int_eq(pipe2(request, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(answer, O_CLOEXEC), 0);
    ck_assert_int_eq(fcntl(request[1], F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(fcntl(answer[0], F_SETFL, O_NONBLOCK), 0);
    peer = (struct peer){.channel = {.request_fd = request[1], .answer_fd = answer[0]},
                         .request_fd = request[0],
                         .answer_fd = answer[1],
                         .deadline_ns = clock_now_ns() + patience_ns,
                         .gone_fd = eventfd(0, EFD_CLOEXEC)};
    ck_assert_int_ge(peer.gone_fd, 0);
}

static void end_worker(void)
{
    if (peer.request_fd >= 0)
        close(peer.request_fd);
    if (peer.answer_fd >= 0)
        close(peer.answer_fd);
    peer.request_fd = peer.answer_fd = -1;
}

static void teardown(void)
{
    end_worker();
    close(peer.channel.request_fd);
    close(peer.channel.answer_fd);
    close(peer.gone_fd);
}

static void say(const char *text)
{
    ck_assert_int_eq(write(peer.answer_fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Reads until a line end or `size_max` bytes. */
static void read_request(size_t size_max)
{
    char chunk[4096];
    ssize_t count = 1;

    while (peer.request_size < size_max && count > 0) {
        count = read(peer.request_fd, chunk, sizeof chunk);
        ck_assert_int_ge(count, 0);
        peer.request_size += (size_t)count;
        if (count > 0 && chunk[count - 1] == '\n')
            break;
    }
}

/* ---- the dialogue's side ---- */

static void *run_peer(void *context)
{
    struct peer *self = context;

    self->act(self);
    return NULL;
}

static struct text request_of(size_t size)
{
    struct text request = TEXT_EMPTY;

    while (request.size + 1 < size)
        text_add_string(&request, "x");
    text_add_string(&request, "\n");
    return request;
}

static const struct dialogue_bounds *bounds(void)
{
    static struct dialogue_bounds bounds;

    bounds = (struct dialogue_bounds){
        .line_size_max = LINE_SIZE_MAX, .deadline_ns = peer.deadline_ns, .gone_fd = peer.gone_fd};
    return &bounds;
}

static enum lease_end ask(size_t request_size, void (*act)(struct peer *peer), struct dialogue_answer *answer_out,
                          struct status *status_out)
{
    struct text request = request_of(request_size);
    enum lease_end end;

    peer.act = act;
    ck_assert_int_eq(pthread_create(&peer.thread, NULL, run_peer, &peer), 0);
    end = dialogue_ask(peer.channel, &request, bounds(), answer_out, status_out);
    /* A worker that still waits for something sees its pipes closed, as custody would close them. */
    close(peer.channel.request_fd);
    close(peer.channel.answer_fd);
    ck_assert_int_eq(pthread_join(peer.thread, NULL), 0);
    peer.channel.request_fd = peer.channel.answer_fd = -1;
    ck_assert_ptr_null(request.bytes); /* wiped, whatever happened: an api_key may have been in it */
    return end;
}

static void expect_line(size_t request_size, void (*act)(struct peer *peer), const char *line)
{
    struct dialogue_answer answer;
    struct status status;

    ck_assert_int_eq(ask(request_size, act, &answer, &status), LEASE_ANSWERED);
    ck_assert_str_eq(text_string(&answer.line), line);
    ck_assert_uint_eq(answer.line.size, strlen(line));
    ck_assert_uint_eq(peer.request_size, request_size);
    text_fini(&answer.line);
}

static void expect_failure(size_t request_size, void (*act)(struct peer *peer), enum lease_end end,
                           enum status_code code, const char *message)
{
    struct dialogue_answer answer;
    struct status status;

    ck_assert_int_eq(ask(request_size, act, &answer, &status), end);
    ck_assert_int_eq(status.code, code);
    ck_assert_ptr_nonnull(strstr(status.message, message));
    ck_assert_ptr_null(strstr(status.message, SECRET));
}

/* ---- answers ---- */

static void act_answer(struct peer *self)
{
    (void)self;
    read_request(SIZE_MAX);
    say("{\"plan\":\"Plus\"}\n");
}

START_TEST(one_line_is_the_answer)
{
    expect_line(100, act_answer, "{\"plan\":\"Plus\"}");
}
END_TEST

static void act_answer_piecewise(struct peer *self)
{
    read_request(SIZE_MAX);
    for (const char *c = "piece by piece\n"; *c != '\0'; c++)
        ck_assert_int_eq(write(self->answer_fd, c, 1), 1);
}

START_TEST(a_line_may_come_in_pieces)
{
    expect_line(100, act_answer_piecewise, "piece by piece");
}
END_TEST

START_TEST(a_request_larger_than_the_pipe_arrives_whole)
{
    expect_line(LARGE_SIZE, act_answer, "{\"plan\":\"Plus\"}");
}
END_TEST

static void act_empty_line(struct peer *self)
{
    (void)self;
    read_request(SIZE_MAX);
    say("\n");
}

START_TEST(an_empty_line_is_a_line)
{
    expect_line(100, act_empty_line, "");
}
END_TEST

static void say_long(size_t size)
{
    char *line = malloc(size + 2);

    ck_assert_ptr_nonnull(line);
    memset(line, 'y', size);
    strcpy(line + size, "\n");
    say(line);
    free(line);
}

static void act_longest(struct peer *self)
{
    (void)self;
    read_request(SIZE_MAX);
    say_long(LINE_SIZE_MAX);
}

START_TEST(the_longest_line_is_taken)
{
    struct dialogue_answer answer;
    struct status status;

    ck_assert_int_eq(ask(100, act_longest, &answer, &status), LEASE_ANSWERED);
    ck_assert_uint_eq(answer.line.size, LINE_SIZE_MAX);
    text_fini(&answer.line);
}
END_TEST

static void act_too_long(struct peer *self)
{
    (void)self;
    read_request(SIZE_MAX);
    say_long(LINE_SIZE_MAX + 1);
}

START_TEST(one_byte_more_is_a_breach)
{
    expect_failure(100, act_too_long, LEASE_BREACHED, STATUS_INTERNAL,
                   "longer than worker.reply_bytes_max (1000 bytes)");
}
END_TEST

/* ---- breaches ---- */

static void act_babble(struct peer *self)
{
    char chunk[4096];
    ssize_t count;

    memset(chunk, 'z', sizeof chunk);
    read_request(SIZE_MAX);
    while ((count = write(self->answer_fd, chunk, sizeof chunk)) > 0)
        self->written_count += (size_t)count;
}

START_TEST(a_line_without_end_is_not_read_for_ever)
{
    expect_failure(100, act_babble, LEASE_BREACHED, STATUS_INTERNAL, "longer than worker.reply_bytes_max");
    ck_assert_uint_le(peer.written_count, 65536 + 16384 + 4096); /* the pipe, one chunk of ours, one of the worker's */
}
END_TEST

static void act_two_lines(struct peer *self)
{
    (void)self;
    read_request(SIZE_MAX);
    say("one\n" SECRET "\n");
}

START_TEST(two_lines_at_once_are_a_breach)
{
    expect_failure(100, act_two_lines, LEASE_BREACHED, STATUS_INTERNAL, "more than one line");
}
END_TEST

static void act_answer_early(struct peer *self)
{
    (void)self;
    read_request(1);
    say(SECRET "\n");
}

START_TEST(an_answer_to_half_a_request_is_a_breach)
{
    expect_failure(LARGE_SIZE, act_answer_early, LEASE_BREACHED, STATUS_INTERNAL, "before it had read the whole");
}
END_TEST

/* ---- deaths ---- */

static void act_end_unread(struct peer *self)
{
    (void)self;
    read_request(1);
    end_worker();
}

START_TEST(an_end_in_the_middle_of_the_request_is_a_death)
{
    expect_failure(LARGE_SIZE, act_end_unread, LEASE_DIED, STATUS_UNAVAILABLE, "before it had read the whole request");
}
END_TEST

static void act_close_input(struct peer *self)
{
    read_request(1);
    close(self->request_fd);
    self->request_fd = -1;
}

START_TEST(a_worker_that_stops_reading_has_died)
{
    expect_failure(LARGE_SIZE, act_close_input, LEASE_DIED, STATUS_UNAVAILABLE, "before it had read the whole request");
}
END_TEST

static void act_end_unanswered(struct peer *self)
{
    (void)self;
    read_request(SIZE_MAX);
    end_worker();
}

START_TEST(an_end_without_an_answer_is_a_death)
{
    expect_failure(100, act_end_unanswered, LEASE_DIED, STATUS_UNAVAILABLE, "without an answer");
}
END_TEST

static void act_half_a_line(struct peer *self)
{
    (void)self;
    read_request(SIZE_MAX);
    say("{\"plan\":\"" SECRET);
    end_worker();
}

START_TEST(half_a_line_is_a_death)
{
    expect_failure(100, act_half_a_line, LEASE_DIED, STATUS_UNAVAILABLE, "in the middle of its answer");
}
END_TEST

/* Lets a child ask, and stops it before it can read, so that all of the worker's doing is there at once. */
static enum lease_end ask_while_stopped(void (*act)(struct peer *peer))
{
    struct text request = request_of(100);
    struct dialogue_answer answer;
    struct status status;
    int wait_status;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        enum lease_end end;

        end_worker(); /* the parent's are the worker's */
        end = dialogue_ask(peer.channel, &request, bounds(), &answer, &status);
        _exit((int)end);
    }
    read_request(SIZE_MAX);
    ck_assert_int_eq(kill(child, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(child, &wait_status, WUNTRACED), child);
    ck_assert(WIFSTOPPED(wait_status));
    act(&peer);
    ck_assert_int_eq(kill(child, SIGCONT), 0);
    ck_assert_int_eq(waitpid(child, &wait_status, 0), child);
    ck_assert(WIFEXITED(wait_status));
    text_fini(&request);
    return (enum lease_end)WEXITSTATUS(wait_status);
}

static void act_answer_and_end(struct peer *self)
{
    (void)self;
    say("answer\n");
    end_worker();
}

START_TEST(an_end_of_file_with_the_answer_voids_it)
{
    ck_assert_int_eq(ask_while_stopped(act_answer_and_end), LEASE_DIED);
}
END_TEST

static void act_answer_and_more(struct peer *self)
{
    (void)self;
    say("answer\n");
    say("m");
}

START_TEST(a_byte_with_the_answer_voids_it)
{
    ck_assert_int_eq(ask_while_stopped(act_answer_and_more), LEASE_BREACHED);
}
END_TEST

/* ---- silence ---- */

static void act_nothing(struct peer *self)
{
    (void)self;
}

static void act_read_on(struct peer *self)
{
    (void)self;
    read_request(SIZE_MAX);
    read_request(SIZE_MAX); /* until the other end is closed */
}

START_TEST(silence_ends_at_the_deadline)
{
    uint64_t started_ns = clock_now_ns();

    peer.deadline_ns = started_ns + 50 * NS_PER_MS;
    expect_failure(100, act_read_on, LEASE_TIMED_OUT, STATUS_DEADLINE_EXCEEDED, "ms (probe.run_ms)");
    ck_assert_uint_ge(clock_now_ns(), peer.deadline_ns);
}
END_TEST

START_TEST(a_worker_that_never_reads_is_not_waited_for)
{
    peer.deadline_ns = clock_now_ns() + 50 * NS_PER_MS;
    expect_failure(LARGE_SIZE, act_nothing, LEASE_TIMED_OUT, STATUS_DEADLINE_EXCEEDED, "gave no answer within");
}
END_TEST

static void act_dribble(struct peer *self)
{
    read_request(SIZE_MAX);
    while (write(self->answer_fd, "d", 1) == 1)
        usleep(1000);
}

START_TEST(dribbling_does_not_outlast_the_deadline)
{
    peer.deadline_ns = clock_now_ns() + 50 * NS_PER_MS;
    expect_failure(100, act_dribble, LEASE_TIMED_OUT, STATUS_DEADLINE_EXCEEDED, "gave no answer within");
}
END_TEST

/* ---- a process that is gone, and a child of its that holds the pipes ---- */

static void be_gone(void)
{
    const uint64_t one = 1;

    ck_assert_int_eq(write(peer.gone_fd, &one, sizeof one), (ssize_t)sizeof one);
}

static void act_gone_unanswered(struct peer *self)
{
    (void)self;
    read_request(SIZE_MAX);
    be_gone();
}

START_TEST(a_worker_that_is_gone_is_not_waited_for)
{
    expect_failure(100, act_gone_unanswered, LEASE_DIED, STATUS_UNAVAILABLE, "without an answer");
}
END_TEST

static void act_gone_unread(struct peer *self)
{
    (void)self;
    read_request(1);
    be_gone();
}

START_TEST(nor_is_its_reading)
{
    expect_failure(LARGE_SIZE, act_gone_unread, LEASE_DIED, STATUS_UNAVAILABLE, "before it had read the whole request");
}
END_TEST

static void act_gone_in_a_line(struct peer *self)
{
    (void)self;
    read_request(SIZE_MAX);
    say("{\"plan\":\"" SECRET);
    be_gone();
}

START_TEST(what_it_wrote_is_read_before_it_is_given_up)
{
    expect_failure(100, act_gone_in_a_line, LEASE_DIED, STATUS_UNAVAILABLE, "in the middle of its answer");
}
END_TEST

/* ---- strays ---- */

static void expect_stray(const char *message)
{
    struct text request = request_of(100);
    struct dialogue_answer answer;
    struct status status;
    int unread_count;

    ck_assert_int_eq(dialogue_ask(peer.channel, &request, bounds(), &answer, &status), LEASE_STRAY);
    ck_assert_ptr_nonnull(strstr(status.message, message));
    if (peer.request_fd >= 0) {
        ck_assert_int_eq(ioctl(peer.request_fd, FIONREAD, &unread_count), 0);
        ck_assert_int_eq(unread_count, 0);
    }
    text_fini(&request);
}

START_TEST(a_line_before_the_request_is_a_stray_and_nothing_is_asked)
{
    say("stray\n");
    expect_stray("had something to say before it was asked");
}
END_TEST

START_TEST(a_single_byte_is_a_stray)
{
    say("s");
    expect_stray("had something to say before it was asked");
}
END_TEST

START_TEST(an_end_of_file_before_the_request_is_a_stray)
{
    end_worker();
    expect_stray("had ended before it was asked");
}
END_TEST

START_TEST(a_process_that_was_gone_before_the_request_is_a_stray)
{
    be_gone();
    expect_stray("had ended before it was asked");
}
END_TEST

START_TEST(a_closed_output_is_a_stray)
{
    close(peer.answer_fd);
    peer.answer_fd = -1;
    expect_stray("had ended before it was asked");
}
END_TEST

START_TEST(a_closed_input_is_a_stray)
{
    close(peer.request_fd);
    peer.request_fd = -1;
    expect_stray("had ended before it was asked");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dialogue");
    TCase *tcase = tcase_create("dialogue");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, one_line_is_the_answer);
    tcase_add_test(tcase, a_line_may_come_in_pieces);
    tcase_add_test(tcase, a_request_larger_than_the_pipe_arrives_whole);
    tcase_add_test(tcase, an_empty_line_is_a_line);
    tcase_add_test(tcase, the_longest_line_is_taken);
    tcase_add_test(tcase, one_byte_more_is_a_breach);
    tcase_add_test(tcase, a_line_without_end_is_not_read_for_ever);
    tcase_add_test(tcase, two_lines_at_once_are_a_breach);
    tcase_add_test(tcase, an_answer_to_half_a_request_is_a_breach);
    tcase_add_test(tcase, an_end_in_the_middle_of_the_request_is_a_death);
    tcase_add_test(tcase, a_worker_that_stops_reading_has_died);
    tcase_add_test(tcase, an_end_without_an_answer_is_a_death);
    tcase_add_test(tcase, half_a_line_is_a_death);
    tcase_add_test(tcase, an_end_of_file_with_the_answer_voids_it);
    tcase_add_test(tcase, a_byte_with_the_answer_voids_it);
    tcase_add_test(tcase, silence_ends_at_the_deadline);
    tcase_add_test(tcase, a_worker_that_never_reads_is_not_waited_for);
    tcase_add_test(tcase, dribbling_does_not_outlast_the_deadline);
    tcase_add_test(tcase, a_worker_that_is_gone_is_not_waited_for);
    tcase_add_test(tcase, nor_is_its_reading);
    tcase_add_test(tcase, what_it_wrote_is_read_before_it_is_given_up);
    tcase_add_test(tcase, a_line_before_the_request_is_a_stray_and_nothing_is_asked);
    tcase_add_test(tcase, a_single_byte_is_a_stray);
    tcase_add_test(tcase, an_end_of_file_before_the_request_is_a_stray);
    tcase_add_test(tcase, a_process_that_was_gone_before_the_request_is_a_stray);
    tcase_add_test(tcase, a_closed_output_is_a_stray);
    tcase_add_test(tcase, a_closed_input_is_a_stray);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
