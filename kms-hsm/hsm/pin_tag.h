/* Recognising a PIN that was refused, without keeping it.
 *
 * SipHash-2-4 (Aumasson and Bernstein, 2012) under a random salt, cut to 16 bits: enough to know the
 * same PIN again (another one passes for it once in 65,536), and too few to find it, for of all PINs
 * one in 65,536 has the same tag. Thread: any.
 */
#ifndef KMS_HSM_HSM_PIN_TAG_H
#define KMS_HSM_HSM_PIN_TAG_H

#include <stddef.h>
#include <stdint.h>

#define HSM_PIN_SALT_BYTES 16u

/* All 64 bits, for the published vectors. */
uint64_t hsm_pin_siphash(const uint8_t key[16], const uint8_t *bytes, size_t len);

uint16_t hsm_pin_tag(const uint8_t salt[HSM_PIN_SALT_BYTES], const uint8_t *pin, size_t len);

#endif
