"""As much of an ELF64 file as the tests of the build look at. Little-endian only."""

import struct

PT_LOAD, PT_DYNAMIC, PT_GNU_STACK, PT_GNU_RELRO = 1, 2, 0x6474E551, 0x6474E552
ET_DYN, PF_X = 3, 1
DT_NEEDED, DT_SONAME, DT_FLAGS, DT_FLAGS_1 = 1, 14, 30, 0x6FFFFFFB
DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 8, 1, 0x08000000
EM_X86_64, EM_AARCH64 = 62, 183
SHT_SYMTAB, SHT_DYNSYM = 2, 11


class Elf:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.bytes = f.read()
        if self.bytes[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path}: not a little-endian ELF64 file")
        self.type, self.machine = struct.unpack_from("<HH", self.bytes, 16)
        phoff, shoff = struct.unpack_from("<QQ", self.bytes, 32)
        phsize, phcount, shsize, shcount, shnames = struct.unpack_from("<HHHHH", self.bytes, 54)
        # (type, flags, offset, address, _, bytes in the file, …)
        self.segments = [struct.unpack_from("<IIQQQQQQ", self.bytes, phoff + i * phsize)
                         for i in range(phcount)]
        # (name, type, flags, address, offset, bytes, link, …)
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", self.bytes, shoff + i * shsize)
                         for i in range(shcount)]
        self.names = [self.text(self.sections[shnames][4] + s[0]) for s in self.sections]

    def text(self, offset):
        return self.bytes[offset:self.bytes.index(b"\0", offset)].decode("utf-8", "replace")

    def section(self, name):
        if name not in self.names:
            return b""
        section = self.sections[self.names.index(name)]
        return self.bytes[section[4]:section[4] + section[5]]

    def segment(self, kind):
        return next((s for s in self.segments if s[0] == kind), None)

    def dynamic(self):
        """(tag, value) pairs."""
        segment = self.segment(PT_DYNAMIC)
        if segment is None:
            return []
        table = self.bytes[segment[2]:segment[2] + segment[5]]
        return [pair for pair in struct.iter_unpack("<QQ", table) if pair[0] != 0]

    def dynamic_flags(self, tag):
        return next((value for t, value in self.dynamic() if t == tag), 0)

    def needed(self):
        """Names of the shared libraries that it is linked with."""
        strings = self.sections[self.names.index(".dynstr")][4] if ".dynstr" in self.names else 0
        return [self.text(strings + value) for tag, value in self.dynamic() if tag == DT_NEEDED]

    def symbols(self):
        """(name, address, defined)."""
        for section in self.sections:
            if section[1] not in (SHT_SYMTAB, SHT_DYNSYM):
                continue
            strings = self.sections[section[6]][4]
            for at in range(section[4], section[4] + section[5], 24):
                name, _, _, index, address, _ = struct.unpack_from("<IBBHQQ", self.bytes, at)
                if name:
                    yield self.text(strings + name), address, index != 0

    def code_at(self, address, length):
        for segment in self.segments:
            if segment[0] == PT_LOAD and segment[3] <= address < segment[3] + segment[5]:
                offset = segment[2] + address - segment[3]
                return self.bytes[offset:offset + length]
        return b""
