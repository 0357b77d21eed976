#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emulated.sh BOCHS COMMAND FILE...: COMMAND, a line of shell, on an emulated CPU with AVX512-BF16, for machines whose own
# has none; run beside the FILEs: programs and modules, which bring their libraries, and data. Prints what it prints and
# how often each of oneDNN's kernels ran. It proves numbers, not speed. Exit status 1 where COMMAND fails or one of
# oneDNN's plain loops (ref:any) ran. All of a backend's comparisons with the reference, within the hour:
#
#     emulated.sh BOCHS 'KERNEL_LANE=onednn-bf16 ./kernel_test' BUILD/tests/kernel_test
#
# BOCHS is the tree of Bochs 3, built there with ./configure --enable-x86-64 --enable-avx --enable-evex --enable-amx
# --enable-handlers-chaining --with-nogui, once its vcvtne2ps2bf16 no longer reads past its first source: in
# cpu/avx/avx512_bf16.cc op1.vmm32u(n) must be op1.vmm32u(n - DWORD_ELEMENTS(len)). From the distribution:
# busybox-static, cpio, isolinux, syslinux-common, xorriso, and a kernel, the newest in /boot or KERNEL's.
#
# AMX too: Linux lets processes have its tiles only with the feature XFD, which Bochs lacks, so KERNEL must be one (6.1
# was taken) with XFEATURE_MASK_USER_DYNAMIC 0 and the check of it in core.c left out, AMX_TILE without its dependency
# on XFD (cpuid-deps.c), and three pages for init_fpstate (fpu/types.h); and CLEAR=580. By default 600 hides AMX; 580
# is FSRM, which Bochs announces without ERMS: the kernel's memmove then never ends.
set -eu
bochs=$(cd "${1:?usage: $(basename "$0") BOCHS COMMAND FILE...}" && pwd) command=${2:?COMMAND is missing}
kernel=${KERNEL-$(ls -t /boot/vmlinuz-* | head -n 1)}
shift 2
folder=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" || true; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$folder/root/work" "$folder/disk/isolinux"
cp -rL "$@" "$folder/root/work/"
cd "$folder/root"
mkdir bin lib lib64 proc sys dev tmp
cp /bin/busybox bin/
for word in sh mount awk cat sleep; do ln -s busybox "bin/$word"; done
find work -type f | xargs ldd 2>&1 | awk '$3 ~ "^/" { print $3 }' | sort -u | xargs -I '{}' cp -L '{}' lib/
cp -L /lib64/ld-linux-x86-64.so.2 lib64/
printf '%s\n' "$command" >run
cat >init <<'END'
#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
export LD_LIBRARY_PATH=/lib HOME=/tmp OMP_NUM_THREADS=1 BALDISTILL_MODULE_DIR=/work DNNL_VERBOSE=1 ONEDNN_VERBOSE=1
cd /work
echo === begin
{ sh /run; echo "=== status $?"; } 2>&1 | awk -F, '
	/^(one)?dnnl?_verbose.*info,cpu,isa/ { print; next }
	/^(one)?dnnl?_verbose.*,exec,cpu/ { at = $2 == "exec" ? 4 : 6; n[$at " " $(at + 1)]++; next }
	/^(one)?dnnl?_verbose/ { next }
	{ print }
	END { for (k in n) print n[k] " times " k }'
echo === end
awk 'BEGIN { printf "%8192s\n", "" }' # Bochs keeps the last 4096 bytes to itself
sleep 1000000
END
chmod +x init
find . | busybox cpio -o -H newc >../disk/initrd.img 2>../cpio.log
cd ..
cp "$kernel" disk/vmlinuz
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 disk/isolinux/
cat >disk/isolinux/isolinux.cfg <<END
DEFAULT test
PROMPT 0
LABEL test
 KERNEL /vmlinuz
 APPEND initrd=/initrd.img console=ttyS0,115200 mitigations=off nokaslr no5lvl loglevel=4 clearcpuid=${CLEAR-580,600}
END
xorriso -as mkisofs -quiet -o disk.iso -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot \
	-boot-load-size 4 -boot-info-table disk 2>xorriso.log
cat >bochsrc <<END
cpu: model=sapphire_rapids, count=1, ips=50000000
memory: guest=2048, host=2048
romimage: file=$bochs/bios/BIOS-bochs-latest
vgaromimage: file=$bochs/bios/VGABIOS-lgpl/VGABIOS-lgpl-latest.bin
ata0-master: type=cdrom, path=disk.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial
clock: sync=none
display_library: nogui
log: bochs.log
END
"$bochs/bochs" -q -f bochsrc >out.log 2>&1 &
pid=$!
until grep -q '=== end' serial 2>grep.log; do
	kill -0 "$pid" || { cat out.log; exit 1; }
	sleep 1
done
tr -d '\r' <serial | sed -n '/=== begin/,/=== end/p'
grep -q '=== status 0' serial && ! grep -q 'ref:any' serial
