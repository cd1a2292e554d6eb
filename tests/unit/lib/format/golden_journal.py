#!/usr/bin/env python3
"""Writes the golden bytes of the journal's formats into tests/fuzz/corpus/, from the tables in lib/format/*.h alone.

The unit tests compare the C encoders with these files byte for byte, and the fuzz targets start from them.
Run it only when a format changes on purpose:  tests/unit/lib/format/golden_journal.py
"""
import os
import struct

def mk():
    t=[]
    for i in range(256):
        c=i
        for _ in range(8): c=(c>>1)^(0x82f63b78 if c&1 else 0)
        t.append(c)
    return t
T = mk()
def crc(data, c=0):
    c^=0xffffffff
    for b in data: c=(c>>8)^T[(c^b)&255]
    return c^0xffffffff
assert crc(b"123456789")==0xe3069283
salt=bytes(range(0x10,0x20)); uuid=bytes(range(0xa0,0xb0))
seed=crc(salt)
FILE=42
def block(type, body, pos, durable=0, epoch=0, stream=0, shard=0, recs=0, num=0, seq=0, plain=None, fa=0, la=0):
    blen=len(body) if plain is None else plain
    content=128+len(body)
    total=(content+7)//8*8
    def hdr(c): return b"SLJB"+struct.pack("<BBHIIQQQQQIIQQIIQQ",1,type,0,total,c,FILE,pos,durable,epoch,stream,shard,recs,num,seq,blen,0,fa,la)+bytes(24)
    h=hdr(0); assert len(h)==128
    raw=h+body+bytes(total-content)
    return hdr(crc(raw,seed))+raw[128:]
def jfile(left=0):
    b=b"SLJF"+struct.pack("<IQII",1,FILE,3,0)+uuid+salt+struct.pack("<QQQQQ",1<<20,1700000000123456789,41,40,left)
    b+=bytes(4092-len(b)); return b+struct.pack("<I",crc(b))
arn=b"arn:aws:kinesis:local:000000000000:stream/s"; kar=b"arn:aws:kms:local:000000000000:key/k"
ctx=struct.pack("<HH",1,15)+b"aws:kinesis:arn"+struct.pack("<H",len(arn))+arn
key=struct.pack("<QQ",(42<<24)|7,9)+bytes(range(32))+struct.pack("<HHHH",len(arn),len(kar),len(ctx),5)+arn+kar+ctx+b"blob!"
entry=lambda d,k,src,arr: struct.pack("<IHBBQQ",d,k,src,0,arr,0)
rec=entry(5,2,1,1700000000000000001)+entry(0,1,2,1700000000000000002)+b"pkhello"+b"q"
shards=struct.pack("<II",2,0)+struct.pack("<QIIQ",9,0,0,100)+struct.pack("<QIIQ",9,1,0,7)
footer=struct.pack("<IIIIQQQ",1,2,3,1,4,11,222)
footer+=struct.pack("<QIIQQQQQQQ",9,0,0,4336,3,100,110,1000,1004,0)+struct.pack("<QIIQQQQQQQ",9,1,0,4568,1,7,8,1001,1001,0)
for p,i,s,a in ((4336,0,100,1000),(4568,1,7,1001),(8192,0,104,1002)): footer+=struct.pack("<QIIQQ",p,i,0,s,a)
footer+=struct.pack("<QQQ",(42<<24)|7,9,4096)
trailer=struct.pack("<Q",12288)
wm=b"SLJW"+struct.pack("<IQQQQQQI",1,8,42,8192,11,222,1700000000123456789,4711); wm+=struct.pack("<I",crc(wm))
ct=bytes((i*7)&255 for i in range(len(rec))); tag=bytes(range(0xe0,0xf0))
data=block(2,ct+tag,4336,durable=4096,epoch=(42<<24)|7,stream=9,shard=1,recs=2,num=5,seq=100,plain=len(rec),fa=1700000000000000001,la=1700000000000000002)
moved=block(8,ct+tag+struct.pack("<QQQ",41,8192,4096),4336,durable=4096,epoch=(41<<24)|7,stream=9,shard=1,recs=2,num=5,seq=100,plain=len(rec),fa=1700000000000000001,la=1700000000000000002)
pad=block(3,bytes(72),4096+4096-200)
import hashlib
def side_entry(epoch, stream, arn, blob): return struct.pack("<QQ",epoch,stream)+bytes(range(32))+struct.pack("<HHI",len(arn),len(blob),0)+arn+blob
side_entries=side_entry((42<<24)|7,9,kar,b"blob!")+side_entry((42<<24)|9,9,kar,b"another")
side=b"SLJR"+struct.pack("<IQ",1,3)+uuid+struct.pack("<QIIQ",1700000000123456789,2,0,len(side_entries))+bytes(range(0x40,0x60))+bytes(8)+side_entries
sig=bytes(range(70)); pub=bytes(range(91)); aka=b"arn:aws:kms:local:000000000000:key/a"
side+=b"SLJS"+struct.pack("<HHH",len(sig),len(pub),len(aka))+bytes(6)+hashlib.sha256(side).digest()+sig+pub+aka
def proof(type, body):
    head=lambda c: b"SLJP"+struct.pack("<BBHII",1,type,0,16+len(body),c)
    return head(crc(head(0)+body))+body
piece=lambda n,x: struct.pack("<I",n)+hashlib.sha256(x).digest()
pieces=piece(4096,b"page")+piece(240,b"block")
statement=uuid+struct.pack("<QIIQQQQQQQ",42,3,3,40,4336,2,1,11,222,1)+hashlib.sha256(b"keys").digest()+hashlib.sha256(pieces).digest()+struct.pack("<Q",41)+bytes(range(32))+struct.pack("<Q",1700000000123456789)
signature=hashlib.sha256(statement).digest()+struct.pack("<HHH",len(sig),len(pub),len(aka))+bytes(10)+sig+pub+aka
entry_of=lambda state,path: struct.pack("<HBB",len(path),state,0)+path
dirlist=b"SLJD"+struct.pack("<I",1)+uuid+struct.pack("<QII",7,2,0)+entry_of(1,b"/a/journal")+entry_of(2,b"/b/journal")
dirlist+=struct.pack("<I",crc(dirlist))
out={'proof':{'three':proof(1,struct.pack("<QII",0,2,0)+pieces)+proof(2,statement)+proof(3,signature)},'rewrap':{'two':side},'jfile':{'lane3':jfile(),'left':jfile(8192)},'dirlist':{'two':dirlist},'record':{'two':struct.pack("<I",2)+rec},'keyblock':{'one':key},'shardtable':{'two':shards},'footer':{'recovery':footer},'watermark':{'lane':wm},
 'block':{'data':data,'moved':moved,'pad':pad,'key':block(1,key,4096,epoch=(42<<24)|7,stream=9),'shards':block(4,shards,4096),'footer':block(5,footer,8192),'trailer':block(6,trailer,(1<<20)-4096)}}
root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../fuzz/corpus")
for name, files in out.items():
    os.makedirs(os.path.join(root, name), exist_ok=True)
    for file, content in files.items():
        with open(os.path.join(root, name, file), "wb") as f:
            f.write(content)
