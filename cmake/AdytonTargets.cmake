# Targets in Adyton's house: a library or program knows only what it links, and every one is compiled with the same warnings.

option(ADYTON_WERROR "Treat warnings as errors" ON)
set(ADYTON_SANITIZE "" CACHE STRING "Sanitizers for every target, as -fsanitize= takes them")

add_library(adyton_flags INTERFACE)
target_compile_options(adyton_flags INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Wno-missing-field-initializers
  $<$<BOOL:${ADYTON_WERROR}>:-Werror>)
target_include_directories(adyton_flags INTERFACE ${PROJECT_SOURCE_DIR})
if(ADYTON_SANITIZE)
  if(ADYTON_SANITIZE MATCHES thread)
    # ThreadSanitizer does not know fences. Ours stand between atomic accesses only, which it does not take for races.
    target_compile_options(adyton_flags INTERFACE -Wno-tsan)
  endif()
  # g++ 12 loses sight of what is initialised between the instrumentation's calls.
  target_compile_options(adyton_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_compile_options(adyton_flags INTERFACE -fsanitize=${ADYTON_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(adyton_flags INTERFACE -fsanitize=${ADYTON_SANITIZE})
endif()

# adyton_library(NAME SOURCES file... [PUBLIC lib...] [PRIVATE lib...])
function(adyton_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC adyton_flags ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

# adyton_program(NAME SOURCES file... [PRIVATE lib...])
function(adyton_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PRIVATE" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE adyton_flags ${ARG_PRIVATE})
endfunction()

# adyton_test(NAME SOURCES file_test.cc... [PRIVATE lib...] [LABELS label...])   one GoogleTest program; each TEST becomes a ctest case
function(adyton_test name)
  if(NOT ADYTON_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;PRIVATE;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE adyton_flags ${ARG_PRIVATE} GTest::gmock GTest::gtest GTest::gtest_main Threads::Threads)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 TEST_PREFIX "${name}/" PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()
