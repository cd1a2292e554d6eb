# One INTERFACE target carries warnings and hardening; every target of ours links it PRIVATE through
# slk_library(), slk_program() or slk_test().
include(CheckCCompilerFlag)

add_library(slk_flags INTERFACE)
target_compile_options(slk_flags INTERFACE -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
	-Wpointer-arith -Wundef -Wwrite-strings -Wvla -Wformat=2 -fno-common -fno-strict-aliasing)
target_compile_definitions(slk_flags INTERFACE _GNU_SOURCE)
if(SLK_WERROR)
	target_compile_options(slk_flags INTERFACE -Werror)
endif()

# Hardening. FORTIFY needs optimisation and does not mix with sanitizers.
target_compile_options(slk_flags INTERFACE -fstack-protector-strong)
check_c_compiler_flag(-fcf-protection=full SLK_HAVE_CET)
if(SLK_HAVE_CET)
	target_compile_options(slk_flags INTERFACE -fcf-protection=full)
endif()
check_c_compiler_flag(-fstack-clash-protection SLK_HAVE_STACK_CLASH)
if(SLK_HAVE_STACK_CLASH)
	target_compile_options(slk_flags INTERFACE -fstack-clash-protection)
endif()
target_link_options(slk_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
if(NOT SLK_SANITIZE)
	target_compile_options(slk_flags INTERFACE $<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
else()
	target_compile_options(slk_flags INTERFACE -fsanitize=${SLK_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
	target_link_options(slk_flags INTERFACE -fsanitize=${SLK_SANITIZE})
endif()
if(SLK_FUZZ)
	# Every object, or libFuzzer sees no coverage inside the code that it is to explore.
	target_compile_options(slk_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(SLK_COVERAGE)
	# Counts are added up by several threads.
	target_compile_options(slk_flags INTERFACE --coverage -fprofile-update=atomic)
	target_link_options(slk_flags INTERFACE --coverage)
endif()

# slk_library(NAME SOURCES...): a static library of one room. Headers are included as "base/status.h".
function(slk_library name)
	add_library(slk_${name} STATIC ${ARGN})
	add_library(slk::${name} ALIAS slk_${name})
	target_include_directories(slk_${name} PUBLIC ${PROJECT_SOURCE_DIR}/lib)
	target_link_libraries(slk_${name} PRIVATE $<BUILD_INTERFACE:slk_flags>)
endfunction()

# slk_program(NAME SOURCES...): an installed program.
function(slk_program name)
	add_executable(${name} ${ARGN})
	target_link_libraries(${name} PRIVATE slk_flags)
	set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
	install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
endfunction()

# slk_test(NAME LABEL SOURCES... [LIBS targets...]): a cmocka program; its cases are summed from cmocka's XML by tests/run.
# LABEL is unit, integration, sim, fuzz or bench.
function(slk_test name label)
	cmake_parse_arguments(T "" "TIMEOUT" "LIBS" ${ARGN})
	if(NOT T_TIMEOUT)
		set(T_TIMEOUT 120)
	endif()
	add_executable(${name} ${T_UNPARSED_ARGUMENTS})
	target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/lib)
	target_compile_definitions(${name} PRIVATE SLK_SOURCE_DIR="${PROJECT_SOURCE_DIR}" SLK_BUILD_DIR="${PROJECT_BINARY_DIR}")
	target_link_libraries(${name} PRIVATE ${T_LIBS} PkgConfig::CMOCKA slk_flags)
	set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
	add_test(NAME ${label}/${name} COMMAND ${name})
	# Used only when CMOCKA_MESSAGE_OUTPUT=XML asks for it, as tests/run does.
	set_tests_properties(${label}/${name} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77 TIMEOUT ${T_TIMEOUT}
		ENVIRONMENT "CMOCKA_XML_FILE=${PROJECT_BINARY_DIR}/test-results/${name}-%g.xml")
endfunction()

# slk_token_tests(NAME...): the same programs again, on the other tokens of tests/lib/hsm_rig.h; ctest -L kms_suite_nss.
function(slk_token_tests)
	foreach(name ${ARGN})
		foreach(token nss cloudhsm)
			add_test(NAME integration/${name}_${token} COMMAND ${name})
			set_tests_properties(integration/${name}_${token} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120
				LABELS "integration;kms_suite_${token}"
				ENVIRONMENT "SLK_TEST_TOKEN=${token};CMOCKA_XML_FILE=${PROJECT_BINARY_DIR}/test-results/${name}_${token}-%g.xml")
		endforeach()
		set_property(TEST integration/${name} APPEND PROPERTY LABELS kms_suite_softhsm)
	endforeach()
endfunction()

# slk_script_test(NAME LABEL SCRIPT [TIMEOUT n]): a script that prints "N passed, N failed, N skipped" as its last line.
function(slk_script_test name label script)
	cmake_parse_arguments(T "" "TIMEOUT" "" ${ARGN})
	if(NOT T_TIMEOUT)
		set(T_TIMEOUT 300)
	endif()
	add_test(NAME ${label}/${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${PROJECT_BINARY_DIR})
	set_tests_properties(${label}/${name} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77 TIMEOUT ${T_TIMEOUT})
endfunction()

# slk_fuzz(NAME SOURCE LIBS targets...): with SLK_FUZZ a libFuzzer target; otherwise a ctest that runs the same entry
# point over tests/fuzz/corpus/NAME and over mutations of it, from a fixed seed.
function(slk_fuzz name)
	cmake_parse_arguments(T "" "" "LIBS" ${ARGN})
	if(SLK_FUZZ)
		add_executable(fuzz_${name} ${T_UNPARSED_ARGUMENTS})
		target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
		target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer-no-link)
	else()
		add_executable(fuzz_${name} ${T_UNPARSED_ARGUMENTS} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.c)
	endif()
	target_link_libraries(fuzz_${name} PRIVATE ${T_LIBS} slk_flags)
	set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
	if(SLK_FUZZ)
		file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz/found/${name})
		add_test(NAME fuzz/${name} COMMAND fuzz_${name} -seed=1 -runs=20000 -max_len=4096
			${PROJECT_BINARY_DIR}/fuzz/found/${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
	else()
		add_test(NAME fuzz/${name} COMMAND fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
	endif()
	set_tests_properties(fuzz/${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()
