# The functions every folder's CMakeLists.txt is written with.
#
#   oriel_add_subfolders()                      adds each child folder that has a CMakeLists.txt
#   oriel_library(NAME SRCS … [DEPS …])         a static library below the wall
#   oriel_mlir_library(NAME SRCS … [DEPS …])    a static library above the wall (sees MLIR and LLVM headers)
#   oriel_tool(NAME SRCS … [DEPS …] [MLIR])     an executable in build/bin
#   oriel_test(NAME SRCS … [DEPS …] [MLIR] LABELS … [COST SECONDS])  a GoogleTest program, one ctest entry per test case;
#     ctest starts those of the highest cost first, so that no long one is left alone at the end
#   oriel_tablegen(NAME TD file.td OUTPUTS file.h.inc -gen-x …)  mlir-tblgen outputs beside the build's copy of the folder
#   oriel_protobuf(NAME PROTOS … [GRPC])        a library of generated protobuf (and gRPC) code
#
# A library is named after its folder: runtime/plan is oriel_runtime_plan. Include lines are addresses from the root.

add_library(oriel_flags INTERFACE)
target_include_directories(oriel_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_compile_options(oriel_flags INTERFACE -Wall -Wextra -Wno-unused-parameter)
if(ORIEL_SANITIZE)
  # Undefined behaviour ends the program, as bad addresses do: a test that only prints it would pass.
  target_compile_options(oriel_flags INTERFACE -fsanitize=${ORIEL_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer -g1)
  target_link_options(oriel_flags INTERFACE -fsanitize=${ORIEL_SANITIZE})
  set(ORIEL_SANITIZER_DEFAULTS ${CMAKE_SOURCE_DIR}/tools/cmake/SanitizerDefaults.cpp)
endif()

if(ORIEL_COMPILER)
  add_library(oriel_mlir_flags INTERFACE)
  target_include_directories(oriel_mlir_flags SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  # The two shared libraries only: a static MLIR archive beside them would make a second universe of TypeIDs.
  target_link_libraries(oriel_mlir_flags INTERFACE oriel_flags MLIR LLVM)
  # g++ 12 sees dangling references and uninitialised members in MLIR's own headers.
  target_compile_options(oriel_mlir_flags INTERFACE -Wno-maybe-uninitialized -Wno-dangling-pointer -Wno-array-bounds)
endif()

function(oriel_add_subfolders)
  file(GLOB children RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt)
  foreach(child ${children})
    get_filename_component(folder ${child} DIRECTORY)
    add_subdirectory(${folder})
  endforeach()
endfunction()

function(oriel_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  target_link_libraries(${name} PUBLIC oriel_flags ${ARG_DEPS})
endfunction()

function(oriel_mlir_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  target_link_libraries(${name} PUBLIC oriel_mlir_flags ${ARG_DEPS})
endfunction()

function(oriel_tool name)
  cmake_parse_arguments(ARG "MLIR" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS} ${ORIEL_SANITIZER_DEFAULTS})
  if(ARG_MLIR)
    target_link_libraries(${name} PRIVATE oriel_mlir_flags)
  endif()
  target_link_libraries(${name} PRIVATE oriel_flags ${ARG_DEPS})
endfunction()

function(oriel_test name)
  cmake_parse_arguments(ARG "MLIR" "TIMEOUT;COST" "SRCS;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SRCS} ${ORIEL_SANITIZER_DEFAULTS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(ARG_MLIR)
    target_link_libraries(${name} PRIVATE oriel_mlir_flags)
  endif()
  target_link_libraries(${name} PRIVATE oriel_flags ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_COST)
    set(ARG_COST 0)
  endif()
  list(GET ARG_LABELS 0 firstLabel)
  gtest_discover_tests(${name} TEST_PREFIX "${name}/" DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${firstLabel}" TIMEOUT ${ARG_TIMEOUT} COST ${ARG_COST})
  list(LENGTH ARG_LABELS labelCount)
  if(labelCount GREATER 1)
    # gtest_discover_tests takes the list apart; ctest reads this file after its own and sets the labels as one value.
    set(script ${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake)
    file(WRITE ${script} "foreach(test IN LISTS ${name}_TESTS)\n"
      "  set_tests_properties(\"\${test}\" PROPERTIES LABELS \"${ARG_LABELS}\")\nendforeach()\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${script})
  endif()
endfunction()

include(GoogleTest)

function(oriel_tablegen name)
  cmake_parse_arguments(ARG "" "TD" "OUTPUTS" ${ARGN})
  set(LLVM_TARGET_DEFINITIONS ${ARG_TD})
  list(LENGTH ARG_OUTPUTS count)
  math(EXPR last "${count} - 1")
  set(args "")
  foreach(i RANGE ${last})
    list(GET ARG_OUTPUTS ${i} item)
    if(item MATCHES "\\.inc$")
      if(args)
        mlir_tablegen(${args} EXTRA_INCLUDES ${CMAKE_SOURCE_DIR} ${MLIR_INCLUDE_DIRS})
      endif()
      set(args ${item})
    else()
      list(APPEND args ${item})
    endif()
  endforeach()
  mlir_tablegen(${args} EXTRA_INCLUDES ${CMAKE_SOURCE_DIR} ${MLIR_INCLUDE_DIRS})
  add_public_tablegen_target(${name})
endfunction()

function(oriel_protobuf name)
  cmake_parse_arguments(ARG "GRPC" "" "PROTOS" ${ARGN})
  set(sources "")
  foreach(proto ${ARG_PROTOS})
    get_filename_component(base ${proto} NAME_WE)
    file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
    set(stem ${CMAKE_BINARY_DIR}/${folder}/${base})
    set(outputs ${stem}.pb.cc ${stem}.pb.h)
    set(flags --cpp_out=${CMAKE_BINARY_DIR})
    if(ARG_GRPC)
      list(APPEND outputs ${stem}.grpc.pb.cc ${stem}.grpc.pb.h)
      list(APPEND flags --grpc_out=${CMAKE_BINARY_DIR} --plugin=protoc-gen-grpc=${ORIEL_GRPC_CPP_PLUGIN})
    endif()
    add_custom_command(OUTPUT ${outputs}
      COMMAND protobuf::protoc -I ${CMAKE_SOURCE_DIR} ${flags} ${CMAKE_CURRENT_SOURCE_DIR}/${proto}
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${proto} VERBATIM)
    list(APPEND sources ${outputs})
  endforeach()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC oriel_flags protobuf::libprotobuf)
  if(ARG_GRPC)
    target_link_libraries(${name} PUBLIC PkgConfig::GRPC)
  endif()
  set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS "-w")
endfunction()
