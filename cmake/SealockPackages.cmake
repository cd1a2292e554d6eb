# Debian's packages as imported targets. Only what a room needs is required there: without DPDK or ipsec-mb the other
# rooms still build.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3.0)
pkg_check_modules(SSL IMPORTED_TARGET libssl>=3.0)
pkg_check_modules(CYAML REQUIRED IMPORTED_TARGET libcyaml)
pkg_check_modules(ISAL REQUIRED IMPORTED_TARGET libisal)
pkg_check_modules(URING IMPORTED_TARGET liburing)
pkg_check_modules(PROTOBUFC IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(SQLITE IMPORTED_TARGET sqlite3)
pkg_check_modules(SECCOMP IMPORTED_TARGET libseccomp)
pkg_check_modules(P11KIT IMPORTED_TARGET p11-kit-1)
pkg_check_modules(YAJL IMPORTED_TARGET yajl)
pkg_check_modules(CAP IMPORTED_TARGET libcap)
pkg_check_modules(NGHTTP2 IMPORTED_TARGET libnghttp2)
pkg_check_modules(DPDK IMPORTED_TARGET libdpdk)
if(BUILD_TESTING OR NOT DEFINED BUILD_TESTING)
	pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()

# ipsec-mb ships no pkg-config file.
find_path(IPSECMB_INCLUDE_DIR intel-ipsec-mb.h)
find_library(IPSECMB_LIBRARY IPSec_MB)
if(IPSECMB_INCLUDE_DIR AND IPSECMB_LIBRARY)
	add_library(IPSecMB::IPSecMB UNKNOWN IMPORTED)
	set_target_properties(IPSecMB::IPSecMB PROPERTIES IMPORTED_LOCATION ${IPSECMB_LIBRARY}
		INTERFACE_INCLUDE_DIRECTORIES ${IPSECMB_INCLUDE_DIR})
endif()
