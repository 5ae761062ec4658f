# The verbs the rooms are built with.  One library a room; LINKS names the rooms below, never one above
# (scripts/layers checks the includes, the linker the rest).

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

option(PROBED_PACKAGES "Test the Debian packages: builds them, and a Debian to install them in (root)" OFF)
option(PROBED_FUZZ "Build the libFuzzer targets (clang)" OFF)

# A sanitizer's build is for what the sanitizer sees: bounds in time are not asserted there (tests/support/patience.h),
# and the thread sanitizer has nothing to say of a program with one thread.
string(REGEX MATCH "-fsanitize=" PROBED_SANITIZED "${CMAKE_C_FLAGS}")
string(REGEX MATCH "-fsanitize=thread" PROBED_RACES_ONLY "${CMAKE_C_FLAGS}")

# What ctest runs, with the programs that it is about, and nothing else: no manual pages, benches or packages.
add_custom_target(tested)

# What every file of ours is compiled with; generated code and other people's headers are not held to it.
add_library(probed_rules INTERFACE)
target_compile_definitions(probed_rules INTERFACE _GNU_SOURCE PROBED_VERSION="${PROJECT_VERSION}")
target_compile_options(probed_rules INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes -Werror
  $<$<C_COMPILER_ID:Clang>:-Wthread-safety>)
target_include_directories(probed_rules INTERFACE ${CMAKE_SOURCE_DIR})
target_include_directories(probed_rules SYSTEM INTERFACE ${CMAKE_SOURCE_DIR}/gen)

# probed_room(NAME SOURCES file… LINKS room-or-library…)
function(probed_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(${name} PRIVATE probed_rules PUBLIC ${ROOM_LINKS})
endfunction()

# probed_program(NAME SOURCES file… LINKS room…): linked with the nng shim where it links nng
function(probed_program name)
  cmake_parse_arguments(PROGRAM "NNG" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${PROGRAM_SOURCES})
  # Bound at start: the linker that binds a call when it is first made saves the vector registers on the stack, and with
  # them whatever memcpy moved last, an api_key for one.
  target_link_options(${name} PRIVATE -Wl,-z,relro,-z,now)
  target_link_libraries(${name} PRIVATE probed_rules ${PROGRAM_LINKS})
  if(PROGRAM_NNG)
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:nng_shim>)
    target_link_libraries(${name} PRIVATE nng::nng ${CMAKE_DL_LIBS})
  endif()
endfunction()

# probed_test(NAME SOURCES file… LINKS room… [NNG] [ONE_THREAD] [TIMEOUT seconds] [ARGUMENTS word…] [LABELS word…])
# One Check program, one ctest entry: unit.flight, scenario.fences, …
# ONE_THREAD: neither the test nor what it tests has another; there is no such test under the thread sanitizer
function(probed_test name)
  cmake_parse_arguments(TEST "NNG;ONE_THREAD" "TIMEOUT" "SOURCES;LINKS;ARGUMENTS;LABELS" ${ARGN})
  if(TEST_ONE_THREAD AND PROBED_RACES_ONLY)
    return()
  endif()
  set(flags)
  if(TEST_NNG)
    set(flags NNG)
  endif()
  probed_program(${name} ${flags} SOURCES ${TEST_SOURCES} LINKS ${TEST_LINKS} PkgConfig::CHECK Threads::Threads)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/checks)
  add_dependencies(tested ${name})
  add_test(NAME ${name} COMMAND ${name} ${TEST_ARGUMENTS})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 60)
  endif()
  if(PROBED_SANITIZED)
    math(EXPR TEST_TIMEOUT "4 * ${TEST_TIMEOUT}") # as patience.h says
  endif()
  # Check's own patience, where a suite says nothing of it, is four seconds: too little on a busy machine.
  set_tests_properties(${name} PROPERTIES TIMEOUT ${TEST_TIMEOUT} LABELS "${TEST_LABELS}"
    ENVIRONMENT "PROBED_BIN=${CMAKE_BINARY_DIR}/bin;PROBED_SOURCE=${CMAKE_SOURCE_DIR};CK_DEFAULT_TIMEOUT=${TEST_TIMEOUT}")
endfunction()
