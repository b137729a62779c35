# Interfaces in AIDL as sources of a target.
#
# adyton_aidl(TARGET [LANG cpp|ndk] [INCLUDES folder...] [VERSION n] [HASH text] [FILES] file.aidl...)
#
# aidlc turns each file into C++ in the build folder when it, or what it imports, changes. The target compiles that, and finds the headers,
# as everything that links it does: com/example/IFoo.h for com.example.IFoo (LANG ndk: aidl/com/example/IFoo.h). INCLUDES are import roots;
# a file's own root, the folder its package begins in, needs no mention.
function(adyton_aidl target)
  cmake_parse_arguments(ARG "" "LANG;VERSION;HASH" "INCLUDES;FILES" ${ARGN})
  list(PREPEND ARG_FILES ${ARG_UNPARSED_ARGUMENTS})
  if(NOT ARG_FILES)
    message(FATAL_ERROR "adyton_aidl(${target}): name the .aidl files")
  endif()
  foreach(file ${ARG_FILES})
    if(NOT file MATCHES "\\.aidl$")
      message(FATAL_ERROR "adyton_aidl(${target}): '${file}' is no .aidl file, and none of the words LANG, INCLUDES, VERSION, HASH, FILES")
    endif()
  endforeach()
  if(NOT ARG_LANG)
    set(ARG_LANG cpp)
  endif()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/aidl/${target})
  set(options --lang=${ARG_LANG} --omit_invocation -o ${folder})
  foreach(include ${ARG_INCLUDES})
    get_filename_component(include ${include} ABSOLUTE)
    list(APPEND options -I ${include})
  endforeach()
  if(ARG_VERSION)
    list(APPEND options --version ${ARG_VERSION})
  endif()
  if(ARG_HASH)
    list(APPEND options --hash ${ARG_HASH})
  endif()
  set(prefix "")
  set(extension cc)
  if(ARG_LANG STREQUAL ndk)
    set(prefix aidl/)
    set(extension cpp)
  endif()
  foreach(file ${ARG_FILES})
    get_filename_component(file ${file} ABSOLUTE)
    get_filename_component(name ${file} NAME_WE)
    # Where the outputs are is known from the package alone.
    file(STRINGS ${file} package REGEX "^[ \t]*package[ \t]" LIMIT_COUNT 1)
    string(REGEX REPLACE "^[ \t]*package[ \t]+([A-Za-z0-9_.]+).*" "\\1" package "${package}")
    string(REPLACE "." "/" stem "${package}")
    if(stem)
      string(APPEND stem /)
    endif()
    string(APPEND stem ${name})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    set(source ${folder}/${stem}.${extension})
    add_custom_command(
      OUTPUT ${source}
      BYPRODUCTS ${folder}/${prefix}${stem}.h
      COMMAND aidlc ${options} --ninja -d ${source}.d ${file}
      DEPENDS aidlc ${file}
      DEPFILE ${source}.d
      COMMENT "Generating ${package}.${name} from AIDL"
      VERBATIM)
    target_sources(${target} PRIVATE ${source})
  endforeach()
  target_include_directories(${target} PUBLIC ${folder})
endfunction()
